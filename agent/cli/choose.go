package cli

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tigerops/tigerops-incidentio/agent"
)

// chosen reads the row numbers that a command is for. Where all is set it is for all of a kind, and there must be no
// numbers; then the answer is empty.
func chosen(cmd *cobra.Command, args []string, all bool, allFlag string) ([]int64, error) {
	switch {
	case all && len(args) > 0:
		return nil, usage(cmd, "give row numbers or --%s, not both", allFlag)
	case !all && len(args) == 0 && allFlag != "":
		return nil, usage(cmd, "give row numbers, or --%s", allFlag)
	}
	var ids []int64
	for _, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || id < 1 {
			return nil, usage(cmd, "%q is no row number: the first column of list has it", arg)
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// oneOf checks a flag that is a choice; empty is none.
func oneOf(cmd *cobra.Command, flag, value string, choices ...string) error {
	if value == "" || slices.Contains(choices, value) {
		return nil
	}
	if best, near := agent.Nearest(value, choices); near {
		return usage(cmd, "--%s: %q is none of %s: did you mean %q?", flag, value, strings.Join(choices, ", "), best)
	}
	return usage(cmd, "--%s: %q is none of %s", flag, value, strings.Join(choices, ", "))
}

func positive(cmd *cobra.Command, limit int) error {
	if limit < 1 {
		return usage(cmd, "--limit: %d is less than 1", limit)
	}
	return nil
}
