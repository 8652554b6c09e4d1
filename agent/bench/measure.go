package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// figures are what one turn of a side measured, by name.
type figures map[string]float64

// side is the agent or a peer in a group of measurements. run starts it on a directory of its own, measures, and ends it.
type side struct {
	name string
	run  func(w *world, dir string) (figures, error)
}

// group is what is measured side by side: each round lets every side have a turn, and the next round begins with the
// next side, so that what changes on the machine meanwhile meets them all.
type group struct {
	name    string
	rounds  int                  // at most; 0: as many as asked for
	prepare func(w *world) error // once, before the first round
	sides   []side
	rows    []row
}

// row is a line of the table: a figure of the agent against a peer's, or by itself.
type row struct {
	what string
	ours string // "side/figure"
	peer string // the same; empty: the figure itself is held against the goal
	unit string
	less bool // less is better
	must float64
	aim  float64
	info bool // no goal: it is there to compare with
}

// outcome is a group after its rounds.
type outcome struct {
	group  *group
	values map[string][]float64 // by "side/figure", one a round
	quick  bool
	err    error
	took   time.Duration
}

// measure runs a group. The first thing that goes wrong ends it: a figure that broke a promise is none.
func (w *world) measure(g *group) outcome {
	began := time.Now()
	o := outcome{group: g, values: map[string][]float64{}, quick: w.quick}
	rounds := w.rounds
	if g.rounds > 0 {
		rounds = min(rounds, g.rounds)
	}
	o.err = func() error {
		if g.prepare != nil {
			if err := g.prepare(w); err != nil {
				return fmt.Errorf("%s: prepare: %w", g.name, err)
			}
		}
		for round := range rounds {
			for i := range g.sides {
				s := g.sides[(round+i)%len(g.sides)]
				dir, done, err := w.directory(g.name + "-" + s.name)
				if err != nil {
					return err
				}
				f, err := s.run(w, dir)
				if err != nil {
					return fmt.Errorf("%s: %s, round %d (left in %s): %w", g.name, s.name, round+1, dir, err)
				}
				done()
				var told []string
				for name, v := range f {
					o.values[s.name+"/"+name] = append(o.values[s.name+"/"+name], v)
					told = append(told, name+" "+number(v))
				}
				slices.Sort(told)
				w.say("%s, round %d of %d, %s: %s", g.name, round+1, rounds, s.name, strings.Join(told, ", "))
			}
		}
		return nil
	}()
	o.took = time.Since(began)
	return o
}

// line is a row as it is printed.
type line struct {
	what, ours, peer, ratio, must, aim, reached string
}

func (o outcome) line(r row) line {
	l := line{what: r.what, ours: "–", peer: "–", ratio: "–", must: r.bound(r.must), aim: r.bound(r.aim), reached: "–"}
	if r.info {
		l.must, l.aim = "", ""
	}
	ours := o.values[r.ours]
	peers := o.values[r.peer]
	held := ours
	if r.peer != "" {
		held = nil
		// A round's figures belong together: the machine was the same.
		for i := range min(len(ours), len(peers)) {
			if peers[i] != 0 {
				held = append(held, ours[i]/peers[i])
			}
		}
	}
	if len(held) == 0 {
		if o.err != nil {
			l.reached = "failed"
		}
		return l
	}
	l.ours = spread(ours, r.unit)
	if r.peer != "" {
		l.peer = spread(peers, r.unit)
		l.ratio = spread(held, "x")
	}
	if r.info {
		return l
	}
	switch m := median(held); {
	case o.quick: // its figures mean nothing
	case r.meets(m, r.aim):
		l.reached = "aim"
	case r.meets(m, r.must):
		l.reached = "must"
	default:
		l.reached = "no"
	}
	if o.err != nil {
		l.reached = "failed"
	}
	return l
}

func (r row) meets(v, goal float64) bool {
	if r.less {
		return v <= goal
	}
	return v >= goal
}

func (r row) bound(v float64) string {
	unit := r.unit
	if r.peer != "" {
		unit = "x"
	}
	sign := "≥ "
	if r.less {
		sign = "≤ "
	}
	return sign + withUnit(number(v), unit)
}

// spread tells the median, and the least and the most where there were several rounds.
func spread(v []float64, unit string) string {
	if len(v) == 1 {
		return withUnit(number(v[0]), unit)
	}
	return fmt.Sprintf("%s (%s–%s)", withUnit(number(median(v)), unit), number(slices.Min(v)), number(slices.Max(v)))
}

func withUnit(n, unit string) string {
	switch unit {
	case "":
		return n
	case "x":
		return n + "x"
	}
	return n + " " + unit
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// quantile of durations, which it sorts.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(int(math.Ceil(q*float64(len(d))))-1, len(d)-1)]
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// number has three significant digits, and thousands in full.
func number(v float64) string {
	a := math.Abs(v)
	switch {
	case a == 0:
		return "0"
	case a >= 100:
		s := fmt.Sprintf("%.0f", v)
		for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	case a >= 10:
		return trimZeros(fmt.Sprintf("%.1f", v))
	case a >= 0.095:
		return trimZeros(fmt.Sprintf("%.2f", v))
	}
	return trimZeros(fmt.Sprintf("%.4f", v))
}

func trimZeros(s string) string {
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// table prints lines as Markdown.
func table(lines []line) string {
	head := line{"measured", "agent", "peer", "ratio", "must", "aim", "reached"}
	var b strings.Builder
	write := func(l line) {
		fmt.Fprintf(&b, "| %s |\n", strings.Join([]string{l.what, l.ours, l.peer, l.ratio, cmp.Or(l.must, " "), cmp.Or(l.aim, " "), l.reached}, " | "))
	}
	write(head)
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, l := range lines {
		write(l)
	}
	return b.String()
}
