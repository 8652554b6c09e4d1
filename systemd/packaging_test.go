package systemd_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

var packaging = filepath.Join("..", "packaging")

// content is one line of nfpm.yaml's contents.
type content struct {
	Src, Dst, Type, Packager string
	Info                     struct {
		Mode         int
		Owner, Group string
	} `yaml:"file_info"`
}

func contents(t testing.TB) []content {
	t.Helper()
	var n struct{ Contents []content }
	if err := yaml.Unmarshal([]byte(read(t, packaging, "nfpm.yaml")), &n); err != nil {
		t.Fatal(err)
	}
	return n.Contents
}

func TestPackagesHoldTheirSBOM(t *testing.T) {
	t.Parallel()
	for _, c := range contents(t) {
		if c.Src == "sbom/" && c.Packager == "" && strings.Contains(read(t, packaging, "build"), `put 644 "$file" "sbom/$name.cdx.json"`) {
			return
		}
	}
	t.Error("no package holds the SBOM that packaging/build makes")
}

func TestPackagesPutThingsWhereTheUnitsLookForThem(t *testing.T) {
	t.Parallel()
	for dst, mode := range map[string]int{
		binary:                        0o755,
		configFile:                    0o640,
		filepath.Dir(configFile):      0o750,
		"/etc/" + name + "/agent.env": 0o640,
		"/usr/lib/systemd/system/" + name + ".service": 0,
		"/usr/lib/systemd/system/" + name + ".socket":  0,
		"/usr/lib/sysusers.d/" + name + ".conf":        0,
		"/usr/lib/tmpfiles.d/" + name + ".conf":        0,
	} {
		found := false
		for _, c := range contents(t) {
			if c.Dst != dst {
				continue
			}
			found = true
			if c.Info.Mode != mode {
				t.Errorf("%s (%s): mode %o, want %o", dst, c.Packager, c.Info.Mode, mode)
			}
			if strings.HasPrefix(dst, "/etc/") && c.Type != "dir" && c.Type != "config|noreplace" {
				t.Errorf("%s (%s): type %q: an upgrade would overwrite what the administrator wrote", dst, c.Packager, c.Type)
			}
		}
		if !found {
			t.Errorf("no package holds %s", dst)
		}
	}
	equal(t, "EnvironmentFile", service(t).one(t, "Service.EnvironmentFile"), "-/etc/"+name+"/agent.env")
}

// The group is for people who share the database; secrets are not theirs.
func TestSecretsAreNotTheGroups(t *testing.T) {
	t.Parallel()
	for _, c := range contents(t) {
		if strings.HasSuffix(c.Dst, "/agent.env") && c.Info.Group != "" {
			t.Errorf("agent.env belongs to group %s", c.Info.Group)
		}
	}
}

func TestScriptsAreSound(t *testing.T) {
	t.Parallel()
	var scripts []string
	for _, pattern := range []string{"build", "test", "*/*install", "*/*remove", "apk/*upgrade", "apk/openrc"} {
		found, err := filepath.Glob(filepath.Join(packaging, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no script is like %s (%v)", pattern, err)
		}
		scripts = append(scripts, found...)
	}
	for _, script := range scripts {
		t.Run(filepath.Base(filepath.Dir(script))+" "+filepath.Base(script), func(t *testing.T) {
			t.Parallel()
			info, err := os.Stat(script)
			if err != nil || info.Mode()&0o111 == 0 {
				t.Errorf("not executable (%v)", err)
			}
			shell := "sh"
			if strings.HasPrefix(read(t, script), "#!/usr/bin/env bash\n") {
				shell = "bash"
			}
			if _, err := exec.LookPath(shell); err != nil {
				t.Skip(shell + " is not installed")
			}
			if out, err := exec.Command(shell, "-n", script).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

var metricName = regexp.MustCompile(`tigerops_incidentio_[a-z0-9_]+`)

// metrics are the names of agent/metrics.go, with those that Prometheus makes of a histogram.
func metrics(t testing.TB) map[string]bool {
	t.Helper()
	all := map[string]bool{"build_info": true}
	for _, m := range regexp.MustCompile(`(counter|histogram|gauge)\("([a-z0-9_]+)"`).FindAllStringSubmatch(read(t, "..", "agent", "metrics.go"), -1) {
		all[m[2]] = true
		if m[1] == "histogram" {
			delete(all, m[2])
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				all[m[2]+part] = true
			}
		}
	}
	if len(all) < 20 {
		t.Fatalf("the metrics of agent/metrics.go are not understood: %v", all)
	}
	return all
}

func TestAlertsAndDashboardAskForMetricsThatExist(t *testing.T) {
	t.Parallel()
	known := metrics(t)
	for _, file := range []string{"prometheus/alerts.yaml", "prometheus/alerts_test.yaml", "grafana/dashboard.json"} {
		text := read(t, packaging, file)
		found := metricName.FindAllString(text, -1)
		if len(found) == 0 {
			t.Errorf("%s asks for nothing", file)
		}
		for _, metric := range found {
			if !known[strings.TrimPrefix(metric, "tigerops_incidentio_")] {
				t.Errorf("%s: the agent has no %s", file, metric)
			}
		}
	}
}

func TestDashboardShowsEveryMetric(t *testing.T) {
	t.Parallel()
	text := read(t, packaging, "grafana", "dashboard.json")
	if !json.Valid([]byte(text)) {
		t.Fatal("not JSON")
	}
	for metric := range metrics(t) {
		if base, sum := strings.CutSuffix(metric, "_sum"); sum {
			contains(t, "the dashboard", text, "tigerops_incidentio_"+base)
		} else if !strings.HasSuffix(metric, "_bucket") && !strings.HasSuffix(metric, "_count") {
			contains(t, "the dashboard", text, "tigerops_incidentio_"+metric)
		}
	}
}

// Prometheus' own parser reads every query of the dashboard, as a rule.
func TestDashboardAsksWhatPrometheusUnderstands(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (apt-get install prometheus)")
	}
	var board struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, packaging, "grafana", "dashboard.json")), &board); err != nil {
		t.Fatal(err)
	}
	// What Grafana puts in before it asks.
	filled := strings.NewReplacer("$__rate_interval", "5m", "$__interval", "1m", "$__range", "1d", "$instance", ".*")
	var rules []map[string]string
	for _, p := range board.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("the panel %q asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			expr := filled.Replace(target.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("the panel %q has a variable that nobody fills: %s", p.Title, expr)
			}
			rules = append(rules, map[string]string{"record": fmt.Sprintf("panel:%d", len(rules)), "expr": expr})
		}
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool, "check", "rules", file).CombinedOutput(); err != nil || !strings.Contains(string(out), fmt.Sprintf("%d rules found", len(rules))) {
		t.Errorf("promtool check rules: %v\n%s", err, out)
	}
}

// Each alert is made to fire by promtool's test, and says what to do.
func TestAlertsAreTested(t *testing.T) {
	t.Parallel()
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, packaging, "prometheus", "alerts.yaml")), &rules); err != nil {
		t.Fatal(err)
	}
	tests := read(t, packaging, "prometheus", "alerts_test.yaml")
	for _, r := range rules.Groups[0].Rules {
		if !regexp.MustCompile(`(alertname: |alertname=")` + r.Alert + `\b`).MatchString(tests) {
			t.Errorf("%s is never made to fire", r.Alert)
		}
		if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s lacks severity, summary or description", r.Alert)
		}
	}
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (apt-get install prometheus)")
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		cmd := exec.Command(tool, args...)
		cmd.Dir = filepath.Join(packaging, "prometheus")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestLitestreamReplicatesTheFileThatTheServiceWrites(t *testing.T) {
	t.Parallel()
	db := stateDir + "/" + defaultOf(t, "DB")
	var c struct{ DBs []struct{ Path string } }
	if err := yaml.Unmarshal([]byte(read(t, packaging, "litestream.yml")), &c); err != nil {
		t.Fatal(err)
	}
	if len(c.DBs) != 1 || c.DBs[0].Path != db {
		t.Errorf("got %v, want %s", c.DBs, db)
	}
	restore := parse(t, packaging, "examples", "restore.conf").one(t, "Service.ExecStartPre")
	if !strings.HasSuffix(restore, " "+db) {
		t.Errorf("%s is restored elsewhere than to %s", restore, db)
	}
	beside := parse(t, packaging, "examples", "litestream.service.conf")
	for _, key := range []string{"Service.User", "Service.Group", "Service.UMask"} {
		equal(t, key, beside.one(t, key), service(t).one(t, key))
	}
}
