package webhook

import (
	"fmt"
	"strconv"
)

// Size of a chart in its own units, which the style sheet scales.
const (
	chartHeight = 60
	barStep     = 10
	barWidth    = 8
)

// chart is the last day as bars, an hour each.
type chart struct {
	Width, Height int
	Bars          []bar
	Most          int    // in an hour, which is a full bar; 0: nothing happened
	Summary       string // what a reader who can't see it is told
}

// bar is one hour: what went well with what failed on top of it.
type bar struct {
	X, Width     int
	GoodY, GoodH float64
	BadY, BadH   float64
	Label        string
}

// newChart draws deliveries and failures, or the changes told to TigerOps if which is "changes".
func newChart(hours []PageHour, which string) chart {
	c := chart{Width: len(hours) * barStep, Height: chartHeight}
	values := func(h PageHour) (good, bad int) {
		if which == "changes" {
			return h.Changes, 0
		}
		return h.Delivered, h.Failed
	}
	goods, bads := 0, 0
	for _, h := range hours {
		good, bad := values(h)
		c.Most = max(c.Most, good+bad)
		goods, bads = goods+good, bads+bad
	}
	for i, h := range hours {
		good, bad := values(h)
		b := bar{X: i * barStep, Width: barWidth, GoodH: scaled(good, c.Most), BadH: scaled(bad, c.Most)}
		b.GoodY = chartHeight - b.GoodH
		b.BadY = b.GoodY - b.BadH
		b.Label = fmt.Sprintf("%s UTC: %s", h.Start.UTC().Format("15:04"), chartWords(which, good, bad))
		c.Bars = append(c.Bars, b)
	}
	c.Summary = chartWords(which, goods, bads)
	return c
}

func chartWords(which string, good, bad int) string {
	if which == "changes" {
		return count(good, "change", "changes") + " found in incident.io"
	}
	return fmt.Sprintf("%d delivered, %s", good, count(bad, "failed attempt", "failed attempts"))
}

func scaled(n, most int) float64 { return float64(n) / float64(max(most, 1)) * chartHeight }

// words tell the chart's sum and its highest hour.
func (c chart) words() string {
	if c.Most == 0 {
		return c.Summary
	}
	return fmt.Sprintf("%s, at most %d an hour", c.Summary, c.Most)
}

// units writes a length in the chart's units.
func units(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
