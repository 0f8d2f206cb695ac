// The worker (`worker`) and the submitter (`submit TASKS IN_FLIGHT SINGLES SECONDS`) of Temporal.
package main

import (
	"context"
	"log/slog"
	"os"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

const queue = "noop"

// noop is the least that Temporal keeps a result of: a workflow without activities.
func noop(_ workflow.Context, input string) (string, error) { return input, nil }

func main() {
	quiet := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	to, err := client.Dial(client.Options{HostPort: os.Getenv("PEER_TEMPORAL"), Logger: sdklog.NewStructuredLogger(quiet)})
	fail(err)
	defer to.Close()
	if os.Args[1] == "worker" {
		fail(work(to))
		return
	}
	fail(submit(to, os.Args[2:]))
}

func work(to client.Client) error {
	options := worker.Options{
		DisableWorkflowWorker:            false,
		LocalActivityWorkerOnly:          true, // no pollers for activities that never come
		MaxConcurrentWorkflowTaskPollers: 16,
	}
	does := worker.New(to, queue, options)
	does.RegisterWorkflowWithOptions(noop, workflow.RegisterOptions{Name: "noop"})
	return does.Run(worker.InterruptCh())
}

func submit(to client.Client, words []string) error {
	var next counter
	return measure(words, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		started, err := to.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: next.id(), TaskQueue: queue}, "noop", body)
		if err != nil {
			return err
		}
		var got string
		if err := started.Get(ctx, &got); err != nil {
			return err
		}
		result := make(chan string, 1)
		result <- got
		return await(result)
	})
}
