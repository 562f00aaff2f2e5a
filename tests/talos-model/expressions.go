package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/decls"
	"github.com/google/cel-go/common/types"

	"github.com/siderolabs/talos/pkg/machinery/cel/celenv"
)

// environments are the places of CEL expressions in documents.
var environments = map[string]*cel.Env{
	"disk":       celenv.DiskLocator(),
	"link":       celenv.LinkLocator(),
	"oomRanking": celenv.OOMCgroupScoring(),
	"oomTrigger": celenv.OOMTrigger(),
	"volume":     celenv.VolumeLocator(),
}

// printExpressions writes what an expression may name in each place, with types.
func printExpressions() error {
	base := overloads(celenv.Empty())
	variables, functions, objects := map[string]string{}, map[string]string{}, map[string]string{}

	for place, env := range environments {
		own := map[string]string{}

		for _, variable := range env.Variables() {
			own[variable.Name()] = variable.Type().String()
			describe(env, variable.Type(), objects)
		}

		variables[place] = inline(own)
		more := map[string]string{}

		for name, written := range overloads(env) {
			if base[name] != written {
				more[name] = written
			}
		}

		functions[place] = raw(more)
	}

	fmt.Printf("{\n \"machinery\": %s,\n", quoted(version()))
	fmt.Printf(" \"variables\": %s,\n", object(variables, verbatim))
	fmt.Printf(" \"objects\": %s,\n", object(objects, verbatim))
	fmt.Printf(" \"more\": %s,\n", object(functions, verbatim))
	fmt.Printf(" \"functions\": %s\n}\n", object(base, verbatim))

	return nil
}

// describe remembers the fields of a message type, and of those in it.
func describe(env *cel.Env, kind *types.Type, objects map[string]string) {
	for _, parameter := range kind.Parameters() {
		describe(env, parameter, objects)
	}

	name := kind.TypeName()
	if _, known := objects[name]; known || kind.Kind() != types.StructKind {
		return
	}

	names, _ := env.CELTypeProvider().FindStructFieldNames(name)
	fields := map[string]string{}
	objects[name] = ""

	for _, field := range names {
		if found, ok := env.CELTypeProvider().FindStructFieldType(name, field); ok {
			fields[field] = found.Type.String()
			describe(env, found.Type, objects)
		}
	}

	objects[name] = inline(fields)
}

// overloads writes every function as a list of "receiver.(arguments) result".
func overloads(env *cel.Env) map[string]string {
	found := map[string]string{}

	for name, function := range env.Functions() {
		var written []string

		for _, overload := range function.OverloadDecls() {
			written = append(written, signature(overload))
		}

		slices.Sort(written)
		found[name] = list(written)
	}

	return found
}

func signature(overload *decls.OverloadDecl) string {
	arguments := make([]string, 0, len(overload.ArgTypes()))
	for _, argument := range overload.ArgTypes() {
		arguments = append(arguments, argument.String())
	}

	style := ""
	if overload.IsMemberFunction() {
		style = "."
	}

	return fmt.Sprintf("%s(%s) %s", style, strings.Join(arguments, "; "), overload.ResultType())
}

func inline(entries map[string]string) string {
	pairs := make([]field, 0, len(entries))
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		pairs = append(pairs, field{key, entries[key]})
	}

	return mapping(pairs)
}

func raw(entries map[string]string) string {
	written := make([]string, 0, len(entries))

	for _, key := range slices.Sorted(maps.Keys(entries)) {
		written = append(written, quoted(key)+": "+entries[key])
	}

	return "{" + strings.Join(written, ", ") + "}"
}

func verbatim(text string) string { return text }
