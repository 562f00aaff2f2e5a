package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	_ "github.com/siderolabs/talos/pkg/machinery/config/types" // registers the document kinds
)

const machinery = "github.com/siderolabs/talos/pkg/machinery"

// names that some kinds insist on before they load.
var names = []string{"", "probe", "10.0.0.0/8", "10.0.0.1", "1000", "EPHEMERAL", "2001:db8::1"}

// version is that of the library this program is built with.
func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == machinery {
			return module.Version
		}
	}

	return "unknown"
}

// kinds finds the kinds that the library registers by reading its sources: the registry itself is internal.
func kinds() ([]string, error) {
	where, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOMODCACHE: %w", err)
	}

	var found []string

	root := filepath.Join(strings.TrimSpace(string(where)), machinery+"@"+version(), "config", "types")
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}

		some, err := registered(path)
		found = append(found, some...)

		return err
	})

	slices.Sort(found)

	return slices.Compact(found), err
}

// registered gives the kinds that one package passes to registry.Register.
func registered(folder string) ([]string, error) {
	packages, err := parser.ParseDir(token.NewFileSet(), folder, nil, 0)
	if err != nil {
		return nil, err
	}

	constants, used := map[string]string{}, []string{}

	for _, parsed := range packages {
		ast.Inspect(parsed, func(node ast.Node) bool {
			switch it := node.(type) {
			case *ast.ValueSpec:
				for i, name := range it.Names {
					if i < len(it.Values) {
						if literal, ok := it.Values[i].(*ast.BasicLit); ok && literal.Kind == token.STRING {
							constants[name.Name], _ = strconv.Unquote(literal.Value)
						}
					}
				}
			case *ast.CallExpr:
				selector, ok := it.Fun.(*ast.SelectorExpr)
				if ok && selector.Sel.Name == "Register" && len(it.Args) == 2 {
					if name, ok := it.Args[0].(*ast.Ident); ok {
						used = append(used, name.Name)
					}
				}
			}

			return true
		})
	}

	var found []string

	for _, name := range used {
		if kind := constants[name]; kind != "" && kind != "v1alpha1" {
			found = append(found, kind)
		}
	}

	return found, nil
}

// sample loads an otherwise empty document of a kind.
func sample(kind string) (any, error) {
	var last error

	for _, name := range names {
		text := fmt.Sprintf("apiVersion: v1alpha1\nkind: %s\n", kind)
		if name != "" {
			text += fmt.Sprintf("name: %q\n", name)
		}

		loaded, err := configloader.NewFromBytes([]byte(text))
		if err != nil {
			last = err

			continue
		}

		for _, document := range loaded.Documents() {
			if document.Kind() == kind {
				return document, nil
			}
		}
	}

	return nil, fmt.Errorf("%s: cannot load an empty document: %w", kind, last)
}

func structOf(document any) reflect.Type {
	t := reflect.TypeOf(document)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}

	return t
}
