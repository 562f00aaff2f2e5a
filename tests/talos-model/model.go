package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"
)

var unnamed = regexp.MustCompile(`\(\d+\)$`)

// printModel writes the model in the form in which the engine keeps it: one entry a line, sorted.
func printModel() error {
	all, err := kinds()
	if err != nil {
		return err
	}

	documents := map[string]string{"v1alpha1": name(reflect.TypeFor[v1alpha1.Config]())}
	rivals := map[string][]string{}

	for _, kind := range all {
		document, err := sample(kind)
		if err != nil {
			return err
		}

		documents[kind] = name(structOf(document))

		if jealous, ok := document.(interface{ ConflictsWithKinds() []string }); ok {
			others := slices.DeleteFunc(jealous.ConflictsWithKinds(), func(other string) bool { return other == kind })
			slices.Sort(others)
			rivals[kind] = others
		}
	}

	enumerations := map[string][]string{}
	for called, t := range words {
		enumerations[called] = wordsOf(t)
	}

	lines := map[string][]field{}
	for called, t := range structs {
		lines[called] = fields(t)
	}

	facts := map[string]listFacts{}
	for called, t := range lists {
		facts[called] = probe(t)
	}

	aliases := map[string]string{}
	for called, t := range words {
		if found := aliasesOf(t, enumerations[called]); len(found) > 0 {
			aliases[called] = inline(found)
		}
	}

	idle, sealed := map[string][]string{}, []string{}
	for called, t := range structs {
		if has(t, "UnmarshalYAML") {
			sealed = append(sealed, called)
		}

		if found := idleFields(t); len(found) > 0 {
			idle[called] = found
		}
	}

	fmt.Printf("{\n \"machinery\": %s,\n", quoted(version()))
	fmt.Printf(" \"documents\": %s,\n", object(documents, quoted))
	fmt.Printf(" \"enumerations\": %s,\n", object(enumerations, list))
	slices.Sort(sealed)
	fmt.Printf(" \"aliases\": %s,\n", object(aliases, verbatim))
	fmt.Printf(" \"idle\": %s,\n", object(idle, list))
	fmt.Printf(" \"lists\": %s,\n", object(facts, entry))
	fmt.Printf(" \"rivals\": %s,\n", object(rivals, list))
	fmt.Printf(" \"sealed\": %s,\n", list(sealed))
	fmt.Printf(" \"structs\": %s\n}\n", object(lines, mapping))

	return nil
}

// wordsOf asks every small number for its word and keeps the words that are read back.
func wordsOf(t reflect.Type) []string {
	var found []string

	for number := range 1 << min(t.Bits(), 16) {
		value := reflect.New(t)
		if t.Kind() == reflect.Int || t.Kind() == reflect.Int32 {
			value.Elem().SetInt(int64(number))
		} else {
			value.Elem().SetUint(uint64(number))
		}

		word := value.Elem().MethodByName("String").Call(nil)[0].String()
		back := reflect.New(t)
		answer := back.MethodByName("UnmarshalText").Call([]reflect.Value{reflect.ValueOf([]byte(word))})

		if !unnamed.MatchString(word) && answer[0].IsNil() && back.Elem().Equal(value.Elem()) {
			found = append(found, word)
		}
	}

	return found
}

// aliasesOf gives the texts that stand for a word without being one: nothing at all, small numbers.
func aliasesOf(t reflect.Type, words []string) map[string]string {
	found := map[string]string{}

	for _, text := range []string{"", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		value := reflect.New(t)
		answer := value.MethodByName("UnmarshalText").Call([]reflect.Value{reflect.ValueOf([]byte(text))})

		if answer[0].IsNil() && !slices.Contains(words, text) {
			found[text] = value.Elem().MethodByName("String").Call(nil)[0].String()
		}
	}

	return found
}

// idleFields gives the keys that do not keep a mapping from being left out as empty, when it decides that itself.
func idleFields(t reflect.Type) []string {
	if !has(t, "IsZero") {
		return nil
	}

	var found []string

	for i := range t.NumField() {
		if key := yamlKey(t.Field(i)); key != "" && t.Field(i).IsExported() {
			value := reflect.New(t)
			value.Elem().Field(i).Set(fill(t.Field(i).Type, 1))

			if !value.Elem().Field(i).IsZero() && value.MethodByName("IsZero").Call(nil)[0].Bool() {
				found = append(found, key)
			}
		}
	}

	return found
}

func quoted(text string) string {
	var written strings.Builder

	encoder := json.NewEncoder(&written)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text)

	return strings.TrimSuffix(written.String(), "\n")
}

func list(texts []string) string {
	written := make([]string, 0, len(texts))
	for _, text := range texts {
		written = append(written, quoted(text))
	}

	return "[" + strings.Join(written, ", ") + "]"
}

func mapping(fields []field) string {
	written := make([]string, 0, len(fields))
	for _, each := range fields {
		written = append(written, quoted(each.key)+": "+quoted(each.typ))
	}

	return "{" + strings.Join(written, ", ") + "}"
}

func entry(facts listFacts) string {
	pairs := []field{{"item", facts.Item}, {"key", facts.Key}, {"equal", facts.Equal}, {"onMatch", facts.OnMatch}}
	pairs = append(pairs, field{"within", facts.Within})

	return mapping(slices.DeleteFunc(pairs, func(pair field) bool { return pair.typ == "" }))
}

func object[V any](entries map[string]V, write func(V) string) string {
	written := make([]string, 0, len(entries))
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		written = append(written, fmt.Sprintf("  %s: %s", quoted(key), write(entries[key])))
	}

	return "{\n" + strings.Join(written, ",\n") + "\n }"
}
