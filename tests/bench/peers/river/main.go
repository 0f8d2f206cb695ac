// River's worker and its submitter, in one process: only there does River tell that a job is done.
package main

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const (
	// As many as may be under way.
	slots = 1_000
	// Connections of the pool: more only make PostgreSQL switch between them on two cores.
	connections = 8
	// A bulk insert takes what has come together meanwhile, at most this many.
	bulk = 512
)

type noopArgs struct {
	ID   string `json:"id"`
	Body string `json:"body"`
}

func (noopArgs) Kind() string { return "noop" }

type noopWorker struct{ river.WorkerDefaults[noopArgs] }

func (*noopWorker) Work(ctx context.Context, job *river.Job[noopArgs]) error {
	return river.RecordOutput(ctx, job.Args.Body)
}

func main() { fail(run(context.Background(), os.Args[1:])) }

func run(ctx context.Context, words []string) error {
	config, err := pgxpool.ParseConfig(os.Getenv("PEER_POSTGRES"))
	if err != nil {
		return err
	}
	config.MaxConns = connections
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	driver := riverpgxv5.New(pool)
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &noopWorker{})
	cooldown, err := strconv.Atoi(os.Getenv("PEER_FETCH_COOLDOWN_MS"))
	if err != nil {
		return err
	}
	client, err := river.NewClient(driver, &river.Config{
		Queues:        map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: slots}},
		Workers:       workers,
		FetchCooldown: time.Duration(cooldown) * time.Millisecond,
	})
	if err != nil {
		return err
	}
	ended, stop := client.SubscribeConfig(&river.SubscribeConfig{
		ChanSize: 100_000, Kinds: []river.EventKind{river.EventKindJobCompleted}})
	defer stop()
	var waiting waiters
	go tell(ended, &waiting)
	if err := client.Start(ctx); err != nil {
		return err
	}
	wanted := make(chan noopArgs, bulk)
	go insert(ctx, client.InsertManyFast, wanted)
	var next counter
	return measure(words, func() error {
		id := next.id()
		result := waiting.expect(id)
		wanted <- noopArgs{ID: id, Body: body}
		return await(result)
	})
}

// tell hands on the output that a job's row holds.
func tell(ended <-chan *river.Event, waiting *waiters) {
	for event := range ended {
		var args noopArgs
		var output string
		fail(json.Unmarshal(event.Job.EncodedArgs, &args))
		fail(json.Unmarshal(event.Job.Output(), &output))
		waiting.tell(args.ID, output)
	}
}

// insert puts what has come together meanwhile into one bulk insert.
func insert(ctx context.Context, many func(context.Context, []river.InsertManyParams) (int, error), wanted <-chan noopArgs) {
	for first := range wanted {
		jobs := []river.InsertManyParams{{Args: first}}
		for len(jobs) < bulk && len(wanted) > 0 {
			jobs = append(jobs, river.InsertManyParams{Args: <-wanted})
		}
		_, err := many(ctx, jobs)
		fail(err)
	}
}
