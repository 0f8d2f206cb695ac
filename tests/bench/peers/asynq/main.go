// The worker (`worker`) and the submitter (`submit TASKS IN_FLIGHT SINGLES SECONDS`) of asynq.
package main

import (
	"context"
	"os"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// asynq tells nobody that a task is done, so its worker publishes the result it has just stored.
const channel = "done:"

var address = "127.0.0.1:" + os.Getenv("PEER_REDIS_PORT")

func main() {
	if os.Args[1] == "worker" {
		fail(work())
		return
	}
	fail(submit(os.Args[2:]))
}

func work() error {
	concurrency, err := strconv.Atoi(os.Getenv("PEER_CONCURRENCY"))
	if err != nil {
		return err
	}
	word := redis.NewClient(&redis.Options{Addr: address})
	server := asynq.NewServer(asynq.RedisClientOpt{Addr: address}, asynq.Config{
		Concurrency:       concurrency,
		TaskCheckInterval: time.Millisecond,
		LogLevel:          asynq.WarnLevel,
	})
	mux := asynq.NewServeMux()
	mux.HandleFunc("noop", func(ctx context.Context, task *asynq.Task) error {
		writer := task.ResultWriter()
		if _, err := writer.Write(task.Payload()); err != nil {
			return err
		}
		return word.Publish(ctx, channel+writer.TaskID(), task.Payload()).Err()
	})
	return server.Run(mux)
}

func submit(words []string) error {
	ctx := context.Background()
	client := asynq.NewClient(asynq.RedisClientOpt{Addr: address})
	heard := redis.NewClient(&redis.Options{Addr: address}).PSubscribe(ctx, channel+"*")
	if _, err := heard.Receive(ctx); err != nil {
		return err
	}
	var waiting waiters
	go func() {
		for word := range heard.Channel(redis.WithChannelSize(10_000)) {
			waiting.tell(word.Channel[len(channel):], word.Payload)
		}
	}()
	var next counter
	return measure(words, func() error {
		id := next.id()
		result := waiting.expect(id)
		task := asynq.NewTask("noop", []byte(body))
		if _, err := client.Enqueue(task, asynq.TaskID(id), asynq.Retention(24*time.Hour)); err != nil {
			return err
		}
		return await(result)
	})
}
