package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// process is a program under measurement. What it says goes to a file, as it would to the journal.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	once  sync.Once
}

// start starts a program. ready is the URL that answers 200 once it is ready; empty: it is not waited for.
func start(dir string, env []string, ready, name string, args ...string) (*process, error) {
	p := &process{log: filepath.Join(dir, filepath.Base(name)+".log"), ended: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = exec.Command(name, args...)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, env...), out, out
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	running.add(p)
	go func() {
		_ = p.cmd.Wait() // how it ended is seen by whoever needs it
		close(p.ended)
	}()
	if ready == "" {
		return p, nil
	}
	if err := p.until(60*time.Second, time.Millisecond, "it is ready", func() (bool, error) {
		resp, err := http.Get(ready)
		if err != nil {
			return false, nil
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK, nil
	}); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// until asks again and again whether something holds, while the process lives.
func (p *process) until(within, every time.Duration, what string, holds func() (bool, error)) error {
	deadline := time.Now().Add(within)
	for {
		ok, err := holds()
		if ok || err != nil {
			return err
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended: %s", filepath.Base(p.cmd.Path), p.lastWords())
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %s in vain until %s: %s", within, what, p.lastWords())
		}
		time.Sleep(every)
	}
}

func (p *process) lastWords() string {
	b, _ := os.ReadFile(p.log) // what can't be read can't be told
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}

// kill ends it as a power cut would, kill -9.
func (p *process) kill() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.ended
		running.remove(p)
	})
}

// running are the programs to be ended should this one be interrupted.
var running registry

type registry struct {
	mu  sync.Mutex
	all map[*process]bool
}

func (r *registry) add(p *process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[*process]bool{}
	}
	r.all[p] = true
}

func (r *registry) remove(p *process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, p)
}

func (r *registry) killAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.all {
		_ = p.cmd.Process.Kill() // we are leaving
	}
}

// resident is the memory that it holds now, and the most it ever held, in MB.
func (p *process) resident() (now, most float64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	field := func(name string) float64 {
		_, rest, _ := bytes.Cut(b, []byte("\n"+name+":"))
		kib, _, _ := strings.Cut(strings.TrimSpace(string(rest[:min(len(rest), 40)])), " ")
		v, _ := strconv.ParseFloat(kib, 64) // 0 is told as missing
		return v * 1024 / 1e6
	}
	now, most = field("VmRSS"), field("VmHWM")
	if now == 0 || most == 0 {
		return 0, 0, errors.New("/proc tells no VmRSS")
	}
	return now, most, nil
}

// cpu is the processor time that it has used.
func (p *process) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything; fields 14 and 15 are user and system time in ticks of 10 ms.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	var ticks int64
	for _, i := range []int{11, 12} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read processor time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// spent runs something, and gives the processor time in µs that the process used meanwhile for each of what was done. On a
// busy machine it tells more than rates do.
func (p *process) spent(do func() (done int, err error)) (micros float64, err error) {
	before, err := p.cpu()
	if err != nil {
		return 0, err
	}
	n, err := do()
	if err != nil {
		return 0, err
	}
	after, err := p.cpu()
	return float64((after - before).Microseconds()) / float64(max(n, 1)), err
}

// nextPort is where freeAddr goes on.
var nextPort atomic.Int64

func init() { nextPort.Store(rand.Int64N(ports)) }

// ports from firstPort on are below those that the kernel gives to outgoing connections on Linux
// (net.ipv4.ip_local_port_range, 32768 to 60999), so that none of the many here takes one before its listener does.
const firstPort, ports = 18_000, 14_000

// freeAddr is a loopback address that nobody listens on, another one each time in this process: whoever asks for two
// before he listens would get the same from the kernel now and then.
func freeAddr() (string, error) {
	for range ports {
		addr := "127.0.0.1:" + strconv.FormatInt(firstPort+nextPort.Add(1)%ports, 10)
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.New("no free port")
}
