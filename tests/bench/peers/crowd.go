// What the submitters in Go share: how many tasks, how many at once, for how long, and what is printed.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How long one task may take before the run has failed.
const patience = time.Minute

// What goes in and comes back.
var body = strings.Repeat("x", 128)

// measure runs `task`, which submits one task and returns when its result is held.
func measure(words []string, task func() error) error {
	var numbers [4]float64
	for i := range numbers {
		number, err := strconv.ParseFloat(words[i], 64)
		if err != nil {
			return err
		}
		numbers[i] = number
	}
	tasks, inFlight, singles := int64(numbers[0]), int(numbers[1]), int(numbers[2])
	limit := time.Duration(numbers[3] * float64(time.Second))
	if err := task(); err != nil { // workers are there
		return err
	}
	if _, _, err := crowd(task, tasks/4, inFlight, limit/4); err != nil {
		return err
	}
	times, until := []float64{}, time.Now().Add(limit)
	for len(times) < singles && time.Now().Before(until) {
		began := time.Now()
		if err := task(); err != nil {
			return err
		}
		times = append(times, float64(time.Since(began).Microseconds())/1e3)
	}
	count, took, err := crowd(task, tasks, inFlight, limit)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"tasks": count, "seconds": took.Seconds(), "singles_ms": times})
}

// crowd keeps `inFlight` tasks under way until all are done or the time is up.
func crowd(task func() error, tasks int64, inFlight int, limit time.Duration) (int64, time.Duration, error) {
	var taken, done atomic.Int64
	var failed atomic.Pointer[error]
	var lanes sync.WaitGroup
	began := time.Now()
	for range inFlight {
		lanes.Add(1)
		go func() {
			defer lanes.Done()
			for failed.Load() == nil && time.Since(began) < limit && taken.Add(1) <= tasks {
				if err := task(); err != nil {
					failed.Store(&err)
					return
				}
				done.Add(1)
			}
		}()
	}
	lanes.Wait()
	took := time.Since(began)
	if err := failed.Load(); err != nil {
		return 0, took, *err
	}
	return done.Load(), took, nil
}

// waiters hands results to those who wait for them.
type waiters struct{ byID sync.Map }

func (w *waiters) expect(id string) <-chan string {
	result := make(chan string, 1)
	w.byID.Store(id, result)
	return result
}

func (w *waiters) tell(id, result string) {
	if found, ok := w.byID.LoadAndDelete(id); ok {
		found.(chan string) <- result
	}
}

// await waits for one result and checks it.
func await(result <-chan string) error {
	select {
	case got := <-result:
		if got != body {
			return fmt.Errorf("a task gave back something else: %q", got)
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("no word of a task within %s", patience)
	}
}

// counter gives each task an id of its own.
type counter struct{ last atomic.Int64 }

func (c *counter) id() string { return "t" + strconv.FormatInt(c.last.Add(1), 10) }

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
