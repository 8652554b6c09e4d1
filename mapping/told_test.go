package mapping_test

import (
	"testing"

	"github.com/tigerops/tigerops-incidentio/mapping"
)

// What TigerOps was told of a role is settled once TigerOps has said something about it that was set, not by what was left
// to the person who holds it.
func TestARoleThatWasLeftToSomebodyIsStillToBeTakenOver(t *testing.T) {
	t.Parallel()
	lead := mapping.Role{ID: "r1", Type: "lead"}
	pushed := mapping.Pushed{Roles: map[string]string{"r1": "linus@example.com"}}
	for name, c := range map[string]struct {
		set  []mapping.Assignment
		want int
	}{
		"left": {nil, 1},
		"set":  {[]mapping.Assignment{{Role: lead, User: mapping.User{ID: "u2", Email: "linus@example.com"}}}, 0},
	} {
		tie := mapping.Tie{Agreed: mapping.Agreed{
			Roles: []mapping.Assignment{{Role: lead, User: mapping.User{ID: "u1", Email: "lisa@example.com"}}},
			Told:  map[string]mapping.Told{"role:r1": {Key: "k", Word: "owner", Email: "lisa@example.com"}},
		}}
		mapping.Agree(&tie, mapping.Effect{Roles: c.set, Pushed: pushed}, nil)
		if got := len(tie.Agreed.Told); got != c.want {
			t.Errorf("%s: %d things told are still to be taken over, want %d", name, got, c.want)
		}
	}
}

// A role that people gave to somebody else after an edit in doubt: what was told is not told again, but where TigerOps was
// told that its own value stands, the next look is to tell it.
func TestARoleOfAnEditInDoubtIsUnseenWhereTigerOpsValueStands(t *testing.T) {
	t.Parallel()
	lead := mapping.Role{ID: "r1", Type: "lead"}
	holds := func(id string) []mapping.Assignment {
		return []mapping.Assignment{{Role: lead, User: mapping.User{ID: id}}}
	}
	for name, c := range map[string]struct {
		told mapping.Told
		want int
	}{
		"told":   {mapping.Told{Key: "k"}, 0},
		"stands": {mapping.Told{}, 1},
	} {
		agreed := mapping.Agreed{Roles: holds("lisa"), Told: map[string]mapping.Told{"role:r1": c.told}}
		got := mapping.Effect{Roles: holds("linus")}.Unseen(agreed, mapping.Remote{Roles: holds("lisa")})
		if len(got.Roles) != c.want {
			t.Errorf("%s: %d roles are left, want %d", name, len(got.Roles), c.want)
		}
	}
}
