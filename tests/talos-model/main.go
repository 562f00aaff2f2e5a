// Command talos-model tells what Talos's own library knows, as the data from which the engine renders configurations.
//
//	talos-model model               every document kind with its fields, types, lists and names that exclude each other
//	talos-model expressions         what CEL expressions may name in each place of a document
//	talos-model contracts 1.8 1.9   what each version contract turns on
//	talos-model answer              patches and verdicts: a JSON question a line in, the library's answer a line out
//
// The version of the library is the one that go.mod pins. docs/configurations.md says how a new one is taken in.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/config"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "talos-model:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "model":
		return printModel()
	case len(args) == 1 && args[0] == "expressions":
		return printExpressions()
	case len(args) == 1 && args[0] == "answer":
		return answerAll()
	case len(args) > 1 && args[0] == "contracts":
		return printContracts(args[1:])
	}

	return fmt.Errorf("usage: talos-model model | expressions | answer | contracts VERSION...")
}

// printContracts asks every method of a contract that answers yes or no.
func printContracts(versions []string) error {
	answers := map[string]map[string]bool{}

	for _, version := range versions {
		contract, err := config.ParseContractFromVersion("v" + strings.TrimPrefix(version, "v"))
		if err != nil {
			return err
		}

		value := reflect.ValueOf(contract)
		answers[version] = map[string]bool{}

		for i := range value.NumMethod() {
			method := value.Method(i)
			if method.Type().NumIn() == 0 && method.Type().NumOut() == 1 && method.Type().Out(0).Kind() == reflect.Bool {
				answers[version][value.Type().Method(i).Name] = method.Call(nil)[0].Bool()
			}
		}
	}

	text, err := json.MarshalIndent(answers, "", " ")
	fmt.Println(string(text))

	return err
}
