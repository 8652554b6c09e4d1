package agent

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The example files name every option with its default, and nothing else.

func TestExampleConfigKnowsEveryOption(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../packaging/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// An option is "#key: value", or "#  key: value" below another; prose and examples of use have other blanks.
	opened := regexp.MustCompile(`(?m)^( *)#((?:  )?[a-z_]+:.*)$`).ReplaceAllString(string(data), "$1$2")
	environ := map[string]string{"INCIDENT_IO_API_KEY": "key", "INCIDENT_IO_ALERT_SOURCE_TOKEN": "", "INCIDENT_IO_HEARTBEAT_TOKEN": ""}
	c, err := Load(LoadOptions{File: "config.yaml", Environ: environ, Lenient: true, ReadFile: func(string) ([]byte, error) { return []byte(opened), nil }})
	if err != nil {
		t.Fatalf("the example with every option opened:\n%v\n%s", err, opened)
	}
	want := map[string]string{}
	for _, s := range Default().Settings() {
		want[s.Name] = s.Value
	}
	want["api_key"] = masked
	for _, s := range c.Settings() {
		if s.Value != want[s.Name] {
			t.Errorf("%s: the example says %q, the code %q", s.Name, s.Value, want[s.Name])
		}
		if strings.ToLower(s.Name) == s.Name && !strings.Contains(opened, "\n    "+s.Name+":") && !strings.Contains(opened, "\n      "+s.Name[strings.LastIndex(s.Name, ".")+1:]+":") {
			t.Errorf("%s: is not in the example", s.Name)
		}
	}

	// And as it is shipped it is the defaults.
	c, err = Load(LoadOptions{File: "../packaging/config.yaml", Environ: map[string]string{"INCIDENT_IO_API_KEY": "key"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.Settings() {
		if s.Value != want[s.Name] {
			t.Errorf("%s: shipped as %q, default %q", s.Name, s.Value, want[s.Name])
		}
	}
}

func TestExampleEnvironmentKnowsEveryVariable(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../packaging/agent.env")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^#?([A-Z][A-Z_]+)=(.*)$`).FindAllStringSubmatch(string(data), -1) {
		got[m[1]] = m[2]
	}
	c := Default()
	for _, v := range variables(&c) {
		value, ok := got[v.name]
		if !ok {
			t.Errorf("%s is not in the example", v.name)
		}
		if want := shown(v.in); value != want {
			t.Errorf("%s: the example says %q, the code %q", v.name, value, want)
		}
		delete(got, v.name)
	}
	for name := range got {
		t.Errorf("%s is in the example and read by nobody", name)
	}
}
