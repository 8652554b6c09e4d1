package agent

import (
	"fmt"
	"strings"
)

// expand replaces each ${NAME} of a value in the file by the variable's value, once: what a value holds is not looked
// through again. $${ stands for ${ itself. It returns whether anything was replaced.
func (l *loader) expand(text string, at Source, key string) (result string, replaced bool) {
	var b strings.Builder
	for rest := text; ; {
		i := strings.Index(rest, "${")
		if i < 0 {
			b.WriteString(rest)
			return b.String(), replaced
		}
		if i > 0 && rest[i-1] == '$' {
			b.WriteString(rest[:i-1] + "${")
			rest = rest[i+2:]
			continue
		}
		b.WriteString(rest[:i])
		name, after, closed := strings.Cut(rest[i+2:], "}")
		switch {
		case !closed:
			l.fault(at, key, "write $${ for a literal ${", "a ${ without its }")
			return b.String(), true
		case !isVariable(name):
			l.fault(at, key, "a name has letters, digits and _ only; write $${ for a literal ${", "${%s} names no environment variable", name)
		default:
			value, from, err := l.lookup(name)
			switch {
			case err != nil:
				l.fault(at, key, "", "${%s}: %s: %v", name, from, err)
			case value == "" && !l.Lenient:
				l.fault(at, key, fmt.Sprintf("set %s, or %s_FILE to a file that holds it, or remove the line", name, name), "environment variable %s is not set", name)
			}
			b.WriteString(value)
		}
		rest, replaced = after, true
	}
}

func isVariable(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}
