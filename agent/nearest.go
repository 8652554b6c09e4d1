package agent

import (
	"fmt"
	"strings"
)

// Nearest returns the word of words that takes the fewest changed letters to reach, and whether it is near enough to
// be what somebody meant to write. A word cut short, or with something behind it, is near.
func Nearest(word string, words []string) (best string, near bool) {
	least := -1
	for _, w := range words {
		a, b := strings.ToLower(word), strings.ToLower(w)
		d := distance(a, b)
		if min(len(a), len(b)) >= 4 && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a)) {
			d = min(d, 1)
		}
		if least < 0 || d < least {
			best, least = w, d
		}
	}
	return best, least >= 0 && least <= max(1, len(best)/3)
}

// distance is the number of letters to add, drop, replace or swap with their neighbour to make b of a.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	before, above, row := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(s); i++ {
		row[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(t)]
}

// meant is the mend for a word that is none of words.
func meant(word string, words []string) string {
	if best, near := Nearest(word, words); near {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return ""
}
