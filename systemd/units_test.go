package systemd_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	binary     = "/usr/bin/tigerops-incidentio"
	configFile = "/etc/tigerops-incidentio/config.yaml"
	stateDir   = "/var/lib/tigerops-incidentio"
	name       = "tigerops-incidentio"
)

// maxExposure is what `systemd-analyze security` may say of the service at most.
const maxExposure = 1.5

func read(t testing.TB, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// unit is a unit file or drop-in: the values of each "Section.Key", in order.
type unit map[string][]string

func parse(t testing.TB, path ...string) unit {
	t.Helper()
	u, section := unit{}, ""
	lines := bufio.NewScanner(strings.NewReader(read(t, path...)))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || section == "" {
				t.Fatalf("%s:%d: %q is no setting", filepath.Join(path...), n, line)
			}
			u[section+"."+key] = append(u[section+"."+key], value)
		}
	}
	return u
}

// one is the setting's only value.
func (u unit) one(t testing.TB, key string) string {
	t.Helper()
	if len(u[key]) != 1 {
		t.Fatalf("%s is set %d times, want once", key, len(u[key]))
	}
	return u[key][0]
}

func equal(t testing.TB, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func contains(t testing.TB, what, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%s: %q is not in it", what, part)
	}
}

func service(t testing.TB) unit { return parse(t, name+".service") }

// variables are the agent's environment variables, as its source declares them, and whether each is a secret.
func variables(t testing.TB) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(`(\S+)\s+`+"`env:\"([A-Z_]+)\"").FindAllStringSubmatch(read(t, "..", "agent", "config.go"), -1) {
		all[m[2]] = strings.HasSuffix(m[1], "Secret")
	}
	if len(all) < 10 || !all["INCIDENT_IO_API_KEY"] || all["AGENT_DB"] {
		t.Fatalf("the variables of agent/config.go are not understood: %v", all)
	}
	return all
}

// defaultOf is the default of a member of agent.Config.
func defaultOf(t testing.TB, member string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^\t\t` + member + `:\s+"(.*)",$`).FindStringSubmatch(read(t, "..", "agent", "config.go"))
	if m == nil {
		t.Fatalf("agent/config.go has no default for %s", member)
	}
	return m[1]
}

func TestServiceCallsCommandsThatExist(t *testing.T) {
	t.Parallel()
	s := service(t)
	equal(t, "ExecStart", s.one(t, "Service.ExecStart"), binary+" run --config "+configFile)
	equal(t, "ExecCondition", s.one(t, "Service.ExecCondition"), binary+" check --offline --config "+configFile)
	contains(t, "agent/cli/run.go", read(t, "..", "agent", "cli", "run.go"), `"run"`)
	contains(t, "agent/cli/run.go reloads on SIGHUP", read(t, "..", "agent", "cli", "run.go"), "SIGHUP")
	check := read(t, "..", "agent", "cli", "check.go")
	contains(t, "agent/cli/check.go", check, `"check"`)
	contains(t, "agent/cli/check.go", check, `"offline"`)
	contains(t, "agent/cli/main.go", read(t, "..", "agent", "cli", "main.go"), `"config"`)
}

func TestServiceSetsVariablesThatTheAgentReads(t *testing.T) {
	t.Parallel()
	known := variables(t)
	set := map[string]string{}
	for _, e := range service(t)["Service.Environment"] {
		key, value, _ := strings.Cut(e, "=")
		if secret, ok := known[key]; !ok || secret {
			t.Errorf("Environment=%s: no variable of the agent, or a secret", key)
		}
		set[key] = value
	}
	equal(t, "AGENT_DB", set["AGENT_DB"], stateDir+"/"+defaultOf(t, "DB"))
	equal(t, "AGENT_LOCAL_ADDR", set["AGENT_LOCAL_ADDR"], defaultOf(t, "LocalAddr"))
	contains(t, "agent/desk.go, where a command that finds no database points to the service's,", read(t, "..", "agent", "desk.go"), `packagedDB = "`+set["AGENT_DB"]+`"`)
}

func TestSocketIsTheDefaultWebhookAddress(t *testing.T) {
	t.Parallel()
	socket := parse(t, name+".socket")
	equal(t, "ListenStream", socket.one(t, "Socket.ListenStream"), defaultOf(t, "WebhookAddr"))
	if len(socket["Socket.Service"]) != 0 || len(socket["Socket.Accept"]) != 0 {
		t.Error("the socket is for the service of its own name, which accepts by itself")
	}
}

func TestServiceRunsAsTheUserAndInTheDirectoriesOfThePackage(t *testing.T) {
	t.Parallel()
	s := service(t)
	equal(t, "User", s.one(t, "Service.User"), name)
	equal(t, "Group", s.one(t, "Service.Group"), name)
	equal(t, "StateDirectory", "/var/lib/"+s.one(t, "Service.StateDirectory"), stateDir)
	equal(t, "WorkingDirectory", s.one(t, "Service.WorkingDirectory"), stateDir)
	equal(t, "StateDirectoryMode", s.one(t, "Service.StateDirectoryMode"), "2770")
	equal(t, "LimitCORE", s.one(t, "Service.LimitCORE"), "0")
	equal(t, "UMask", s.one(t, "Service.UMask"), "0007")
	contains(t, "tmpfiles", read(t, name+".tmpfiles"), "d "+stateDir+" 2770 "+name+" "+name+" -")
	contains(t, "tmpfiles", read(t, name+".tmpfiles"), "d "+filepath.Dir(configFile)+" 0750 root "+name+" -")
	contains(t, "sysusers", read(t, name+".sysusers"), "u "+name+" - ")
	contains(t, "sysusers", read(t, name+".sysusers"), stateDir)
}

// Go ends with status 2 after a panic, and after the SIGABRT of the watchdog: the status that stands for a wrong
// configuration must not keep the service down.
func TestServiceComesBackAfterAPanicAndAfterTheWatchdog(t *testing.T) {
	t.Parallel()
	s := service(t)
	equal(t, "Restart", s.one(t, "Service.Restart"), "on-failure")
	for _, key := range []string{"Service.RestartPreventExitStatus", "Service.SuccessExitStatus"} {
		if slices.ContainsFunc(s[key], func(v string) bool { return slices.Contains(strings.Fields(v), "2") }) {
			t.Errorf("%s has 2", key)
		}
	}
	equal(t, "StartLimitIntervalSec", s.one(t, "Unit.StartLimitIntervalSec"), "0")
}

func TestServiceWaitsLongerThanTheAgentTakes(t *testing.T) {
	t.Parallel()
	s := service(t)
	equal(t, "Type", s.one(t, "Service.Type"), "notify")
	m := regexp.MustCompile(`stopWithin\s*=\s*(\d+) \* time\.Second`).FindStringSubmatch(read(t, "..", "agent", "agent.go"))
	if m == nil {
		t.Fatal("agent/agent.go does not say how long a stop takes")
	}
	stop, _ := strconv.Atoi(m[1])
	timeout, err := strconv.Atoi(s.one(t, "Service.TimeoutStopSec"))
	if err != nil || timeout <= stop {
		t.Errorf("TimeoutStopSec=%d: the agent takes %d s to stop", timeout, stop)
	}
	if w, err := strconv.Atoi(s.one(t, "Service.WatchdogSec")); err != nil || time.Duration(w)*time.Second < 30*time.Second {
		t.Errorf("WatchdogSec=%s: a short pause of the machine must not be taken for a hang", s.one(t, "Service.WatchdogSec"))
	}
}

func TestCredentialsExampleNamesSecretsOfTheAgent(t *testing.T) {
	t.Parallel()
	known := variables(t)
	text := read(t, "..", "packaging", "examples", "credentials.conf")
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#?LoadCredential(?:Encrypted)?=([a-z_]+):`).FindAllStringSubmatch(text, -1) {
		variable := strings.ToUpper(m[1])
		named[variable] = true
		if !known[variable] {
			t.Errorf("%s is no secret of the agent", m[1])
		}
	}
	for variable, secret := range known {
		if secret && !named[variable] {
			t.Errorf("the example lacks %s", strings.ToLower(variable))
		}
	}
	// The stand-ins of the condition are for the credentials that are not comments.
	conditions := parse(t, "..", "packaging", "examples", "credentials.conf")
	condition := conditions["Service.ExecCondition"][1]
	for _, c := range conditions["Service.LoadCredential"] {
		credential, _, _ := strings.Cut(c, ":")
		contains(t, "the condition", condition, " "+strings.ToUpper(credential)+"=")
	}
	if want := service(t).one(t, "Service.ExecCondition"); !strings.HasSuffix(condition, " "+want) {
		t.Errorf("the condition %q does not end in the unit's own %q", condition, want)
	}
}

// analyze runs systemd-analyze on copies of the units whose program is one that exists here.
func analyze(t *testing.T, args ...string) string {
	t.Helper()
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed (apt-get install systemd)")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, kind := range []string{".service", ".socket"} {
		text := strings.ReplaceAll(read(t, name+kind), binary, self)
		path := filepath.Join(dir, name+kind)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if args[0] == "verify" || kind == ".service" {
			args = append(args, path)
		}
	}
	out, err := exec.Command(tool, args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if err != nil {
		t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
	}
	return string(out)
}

func TestSystemdAnalyzeVerifyIsClean(t *testing.T) {
	t.Parallel()
	if out := analyze(t, "verify", "--man=no"); strings.Contains(out, name) {
		t.Errorf("systemd-analyze verify:\n%s", out)
	}
}

func TestExposureIsLow(t *testing.T) {
	t.Parallel()
	out := analyze(t, "security", "--offline=true", "--no-pager")
	m := regexp.MustCompile(`Overall exposure level for .*: ([0-9.]+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("systemd-analyze security says no level:\n%s", out)
	}
	level, err := strconv.ParseFloat(m[1], 64)
	if err != nil || level > maxExposure {
		t.Errorf("exposure %s, want at most %v:\n%s", m[1], maxExposure, out)
	}
	// Each exposure that is left is explained in the unit by the name that systemd-analyze gives it.
	text := read(t, name+".service")
	for _, m := range regexp.MustCompile(`(?m)^✗ ([A-Za-z]+=)`).FindAllStringSubmatch(out, -1) {
		if !regexp.MustCompile(`(?m)^#.*` + regexp.QuoteMeta(m[1])).MatchString(text) {
			t.Errorf("%s is an exposure that the unit does not explain", m[1])
		}
	}
}
