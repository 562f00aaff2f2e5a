package main

import (
	"fmt"
	"reflect"
)

// listFacts says how the items of a named list find each other when a patch is merged.
type listFacts struct {
	Item    string `json:"item"`
	Key     string `json:"key,omitempty"`     // items with the same value here are one
	Equal   string `json:"equal,omitempty"`   // without a key: items that are equal here are one
	OnMatch string `json:"onMatch,omitempty"` // "replace": the later item stands for the earlier one
	Within  string `json:"within,omitempty"`  // "apart": items of one patch never find each other
}

// probe finds the facts of a list by merging lists of one item each: the library's own code answers.
func probe(t reflect.Type) listFacts {
	facts := listFacts{Item: name(t.Elem())}
	if !has(t, "Merge") {
		return facts
	}

	item := t.Elem()
	for item.Kind() == reflect.Pointer {
		item = item.Elem()
	}

	for i := range item.NumField() {
		if !item.Field(i).IsExported() {
			continue
		}

		key := yamlKey(item.Field(i))
		left, right := filled(item, 1), filled(item, 2)
		right.Field(i).Set(fill(item.Field(i).Type, 1))

		if merged := mergedLists(t, left, right); merged.Len() == 1 {
			facts.Key = key
			facts.OnMatch = onMatch(t, item, i)

			if mergedLists(t, reflect.Value{}, left, right).Len() == 2 {
				facts.Within = "apart"
			}
		}

		left, right = reflect.New(item).Elem(), reflect.New(item).Elem()
		left.Field(i).Set(fill(item.Field(i).Type, 1))
		right.Field(i).Set(fill(item.Field(i).Type, 1))
		other := reflect.New(item).Elem()
		other.Field(i).Set(fill(item.Field(i).Type, 2))

		if item.Field(i).Type.Kind() == reflect.Pointer &&
			mergedLists(t, left, right).Len() == 1 && mergedLists(t, left, other).Len() == 2 {
			facts.Equal = key
		}
	}

	if facts.Key == "" {
		facts.Equal = ""
	}

	return facts
}

// onMatch says "replace" when nothing of the earlier item is left where the later one says nothing.
func onMatch(t, item reflect.Type, key int) string {
	left, right := filled(item, 1), reflect.New(item).Elem()
	right.Field(key).Set(left.Field(key))

	merged := element(mergedLists(t, left, right), 0)
	for i := range item.NumField() {
		if i != key && item.Field(i).IsExported() && !merged.Field(i).IsZero() {
			return ""
		}
	}

	return "replace"
}

func yamlKey(f reflect.StructField) string {
	found := fields(reflect.StructOf([]reflect.StructField{{Name: f.Name, Type: f.Type, Tag: f.Tag}}))
	if len(found) == 0 {
		return ""
	}

	key := found[0].key
	for key[len(key)-1] == '?' || key[len(key)-1] == '!' {
		key = key[:len(key)-1]
	}

	return key
}

// mergedLists merges a list of the other items into a list of the first, or into an empty one.
func mergedLists(t reflect.Type, items ...reflect.Value) reflect.Value {
	list := func(values []reflect.Value) reflect.Value {
		made := reflect.New(t)

		for _, value := range values {
			if t.Elem().Kind() == reflect.Pointer {
				pointer := reflect.New(value.Type())
				pointer.Elem().Set(value)
				value = pointer
			}

			made.Elem().Set(reflect.Append(made.Elem(), value))
		}

		return made
	}

	first, second := list(nil), list(items[1:])
	if items[0].IsValid() {
		first = list(items[:1])
	}

	if result := first.MethodByName("Merge").Call([]reflect.Value{second.Elem()}); !result[0].IsNil() {
		panic(fmt.Sprintf("%s does not merge with itself: %v", t, result[0]))
	}

	return first.Elem()
}

func element(list reflect.Value, index int) reflect.Value {
	value := list.Index(index)
	for value.Kind() == reflect.Pointer {
		value = value.Elem()
	}

	return value
}

func filled(t reflect.Type, seed int) reflect.Value {
	value := reflect.New(t).Elem()
	for i := range t.NumField() {
		if t.Field(i).IsExported() {
			value.Field(i).Set(fill(t.Field(i).Type, seed))
		}
	}

	return value
}

// fill makes a value that differs for another seed, of types that can tell.
func fill(t reflect.Type, seed int) reflect.Value {
	value := reflect.New(t).Elem()

	switch t.Kind() {
	case reflect.Pointer:
		pointer := reflect.New(t.Elem())
		pointer.Elem().Set(fill(t.Elem(), seed))
		value.Set(pointer)
	case reflect.String:
		value.SetString(fmt.Sprintf("probe-%d", seed))
	case reflect.Bool:
		value.SetBool(seed == 1)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		value.SetInt(int64(seed))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		value.SetUint(uint64(seed))
	case reflect.Slice:
		value.Set(reflect.Append(value, fill(t.Elem(), seed)))
	case reflect.Map:
		if t.Elem().Kind() != reflect.Interface {
			break
		}

		value.Set(reflect.ValueOf(map[string]any{fmt.Sprintf("probe-%d", seed): seed}).Convert(t))
	case reflect.Struct:
		for i := range t.NumField() {
			if kind := t.Field(i).Type.Kind(); t.Field(i).IsExported() && (kind == reflect.String || kind == reflect.Map) {
				value.Field(i).Set(fill(t.Field(i).Type, seed))
			}
		}
	}

	return value
}
