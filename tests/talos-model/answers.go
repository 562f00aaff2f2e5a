package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/go-multierror"

	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/configpatcher"
	"github.com/siderolabs/talos/pkg/machinery/config/validation"
)

// question is one line of input: patches to apply to a configuration, or none and then a verdict is wanted.
type question struct {
	Config  string   `json:"config"`
	Patches []string `json:"patches,omitempty"`
	Mode    string   `json:"mode,omitempty"`
	Strict  bool     `json:"strict,omitempty"`
}

// answer is the library's own: a text, or where it stopped and why.
type answer struct {
	Text     string   `json:"text,omitempty"`
	Stage    string   `json:"stage,omitempty"`
	Errors   []string `json:"errors,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// mode is what validation wants to know of a platform.
type mode string

func (m mode) String() string        { return string(m) }
func (m mode) RequiresInstall() bool { return m == "metal" }
func (m mode) InContainer() bool     { return m == "container" }

// answerAll answers each line of the standard input with a line.
func answerAll() error {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	write := json.NewEncoder(os.Stdout)

	for {
		line, err := lines.ReadBytes('\n')
		if len(line) == 0 {
			return nil
		}

		if err != nil {
			return err
		}

		var asked question
		if err = json.Unmarshal(line, &asked); err != nil {
			return err
		}

		if err = write.Encode(reply(asked)); err != nil {
			return err
		}
	}
}

func reply(asked question) (found answer) {
	defer func() {
		if crash := recover(); crash != nil {
			found = answer{Stage: "panic", Errors: []string{fmt.Sprint(crash)}}
		}
	}()

	if asked.Mode != "" {
		return verdict(asked)
	}

	patches := make([]configpatcher.Patch, 0, len(asked.Patches))

	for _, text := range asked.Patches {
		patch, err := configpatcher.LoadPatch([]byte(text))
		if err != nil {
			return stopped("load-patch", err)
		}

		patches = append(patches, patch)
	}

	output, err := configpatcher.Apply(configpatcher.WithBytes([]byte(asked.Config)), patches)
	if err != nil {
		return stopped("apply", err)
	}

	text, err := output.Bytes()
	if err != nil {
		return stopped("encode", err)
	}

	return answer{Text: string(text)}
}

func verdict(asked question) answer {
	loaded, err := configloader.NewFromBytes([]byte(asked.Config))
	if err != nil {
		return stopped("load", err)
	}

	options := []validation.Option{validation.WithLocal()}
	if asked.Strict {
		options = append(options, validation.WithStrict())
	}

	warnings, err := loaded.Validate(mode(asked.Mode), options...)
	found := stopped("", err)
	found.Warnings = warnings

	return found
}

func stopped(stage string, err error) answer {
	var several *multierror.Error
	if errors.As(err, &several) {
		found := answer{Stage: stage}
		for _, each := range several.Errors {
			found.Errors = append(found.Errors, each.Error())
		}

		return found
	}

	if err != nil {
		return answer{Stage: stage, Errors: []string{err.Error()}}
	}

	return answer{Stage: stage}
}
