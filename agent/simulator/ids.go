package simulator

import (
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
