package main

import (
	"encoding"
	"path"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
)

var (
	structs = map[string]reflect.Type{} // named types that are written as mappings
	lists   = map[string]reflect.Type{} // named lists
	words   = map[string]reflect.Type{} // numbers that are written as words
	textual = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// field is one key of a mapping.
type field struct{ key, typ string }

func has(t reflect.Type, method string) bool {
	_, found := reflect.PointerTo(t).MethodByName(method)

	return found
}

// leaf says whether a type reads itself as a text, so that its fields do not show.
func leaf(t reflect.Type) bool {
	if t.Kind() == reflect.Slice {
		return t.Elem().Kind() == reflect.Uint8
	}

	own := reflect.PointerTo(t).Implements(textual) || has(t, "UnmarshalYAML") || has(t, "MarshalYAML")

	return own && !mapped(t)
}

// mapped says whether the library writes an empty value of a type as a mapping.
func mapped(t reflect.Type) (found bool) {
	defer func() {
		if recover() != nil {
			found = false // some cannot write an empty value
		}
	}()

	text, err := yaml.Marshal(reflect.New(t).Interface())
	var mapping map[string]any

	return err == nil && yaml.Unmarshal(text, &mapping) == nil && len(mapping) > 0
}

// free says whether a struct is nothing but a mapping of whatever shape.
func free(t reflect.Type) bool {
	return t.NumField() == 1 && t.Field(0).Type.Kind() == reflect.Map && t.Field(0).Tag.Get("yaml") == ",inline"
}

// name gives a type's name as the engine knows it, and remembers what it is made of.
func name(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.Pointer:
		return "*" + name(t.Elem())
	case t.Kind() == reflect.Interface:
		return "any"
	case t.Name() == "" && t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "bytes"
	case t.Name() == "" && t.Kind() == reflect.Slice:
		return "[]" + name(t.Elem())
	case t.Name() == "" && t.Kind() == reflect.Map:
		return "{}" + name(t.Elem())
	case t.PkgPath() == "":
		return t.Kind().String()
	}

	called := path.Base(t.PkgPath()) + "." + t.Name()
	if called = strings.SplitN(called, "[", 2)[0]; seen[called] {
		return called
	}

	seen[called] = true

	switch t.Kind() {
	case reflect.Struct:
		if !leaf(t) && !free(t) {
			structs[called] = t
			fields(t)
		}
	case reflect.Slice:
		if !leaf(t) {
			lists[called] = t
			name(t.Elem())
		}
	case reflect.Map:
		name(t.Elem())
	case reflect.Int, reflect.Int32, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		if reflect.PointerTo(t).Implements(textual) && has(t, "String") {
			words[called] = t
		}
	}

	return called
}

var seen = map[string]bool{}

// fields gives the keys of a struct in their order, those of embedded ones among them. A key ends in ? when it is left
// out while empty, in ! when a patch replaces it.
func fields(t reflect.Type) []field {
	var found []field

	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("yaml")
		key, rest, _ := strings.Cut(tag, ",")

		if tag == "-" || (!f.IsExported() && !f.Anonymous) {
			continue
		}

		if strings.Contains(rest, "inline") || (tag == "" && f.Anonymous) {
			found = append(found, fields(f.Type)...)

			continue
		}

		if key == "" {
			key = strings.ToLower(f.Name)
		}

		if strings.Contains(rest, "omitempty") {
			key += "?"
		}

		if f.Tag.Get("merge") != "" {
			key += "!"
		}

		found = append(found, field{key, name(f.Type)})
	}

	return found
}
