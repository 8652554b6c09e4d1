package cli

import "testing"

func TestTheBallastIsThereWhileTheAgentIsBusy(t *testing.T) {
	t.Parallel()
	rests := 0
	cycles := uint64(10 * busyCycles) // of a start that took in a long queue
	m := newMemory(cycles, func() { rests++ })
	second := func(collections uint64, wantBallast bool, wantRests int) {
		t.Helper()
		cycles += collections
		m.second(cycles)
		if (m.ballast != nil) != wantBallast || rests != wantRests {
			t.Fatalf("after a second with %d collections: ballast %v, given back %d times; want %v, %d", collections, m.ballast != nil, rests, wantBallast, wantRests)
		}
	}
	second(busyCycles-1, false, 1) // what the start needed
	second(0, false, 1)
	second(busyCycles, true, 1)
	held := m.ballast
	second(10*busyCycles, true, 1)
	if m.ballast != held {
		t.Error("another ballast in each second")
	}
	for range restAfter - 1 {
		second(1, true, 1)
	}
	second(busyCycles, true, 1) // busy again just before it would rest
	for range restAfter - 1 {
		second(0, true, 1)
	}
	second(0, false, 2)
	for range 2 * restAfter {
		second(0, false, 2)
	}
}
