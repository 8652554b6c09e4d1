package simulator

import (
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"
)

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// ulid makes an identifier like the API's: 26 characters that sort by time. It is the same for the same time and the
// same state of the random source. Longer ones (the API says that ids may grow) end in ten more.
func ulid(at time.Time, rng *rand.Rand, long bool) string {
	var b strings.Builder
	ms := uint64(at.UnixMilli())
	for shift := 45; shift >= 0; shift -= 5 {
		b.WriteByte(crockford[ms>>shift&31])
	}
	n := 16
	if long {
		n += 10
	}
	for range n {
		b.WriteByte(crockford[rng.IntN(32)])
	}
	return b.String()
}

// Lasting is what of an id does not depend on when the object was made: for one that has a name of its own, such as an
// idempotency or a deduplication key or a title, it is the same in every account with the same seed.
func Lasting(id string) string {
	if len(id) < 26 {
		return id
	}
	return id[10:]
}

// names counts how often each name came.
type names map[string]int

// chance is a random source that depends on the seed, the name and how often that came before, and on nothing else.
func (n names) chance(seed uint64, name string) *rand.Rand {
	n[name]++
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed^uint64(n[name])<<48, h.Sum64()))
}
