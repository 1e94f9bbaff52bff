package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A message is constant, so that it can be searched for and counted; what
// differs stands in values. That keys are constant the linter checks.
func TestMessagesAreConstant(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (path == "hack" || path == "bin" || strings.HasPrefix(entry.Name(), ".") && path != ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			message, ok := messageOf(n)
			if !ok {
				return true
			}
			seen++
			if literal, ok := message.(*ast.BasicLit); !ok || !startsUpper(literal.Value) {
				t.Errorf("%s: a log message must be a literal that begins with a capital", files.Position(message.Pos()))
			}
			return true
		})
		return nil
	})
	if err != nil || seen < 15 {
		t.Errorf("%d messages, %v", seen, err)
	}
}

// messageOf returns the message of a call like x.log.V(1).Info("Message").
func messageOf(n ast.Node) (ast.Expr, bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return nil, false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !isLog(method.X) {
		return nil, false
	}
	at := slices.Index([]string{"Info", "Error"}, method.Sel.Name) // Error's comes second
	if at < 0 || len(call.Args) <= at {
		return nil, false
	}
	return call.Args[at], true
}

// isLog reports whether the innermost name of the receiver is a logger's.
func isLog(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return strings.EqualFold(x.Name, "log") || x.Name == "logger"
	case *ast.SelectorExpr:
		return strings.EqualFold(x.Sel.Name, "log") || isLog(x.X)
	case *ast.CallExpr: // log.V(1), log.FromContext(ctx)
		return isLog(x.Fun)
	}
	return false
}

func startsUpper(literal string) bool {
	return len(literal) > 1 && literal[1] >= 'A' && literal[1] <= 'Z'
}
