// Command benthos-rule puts JSON messages through a Bloblang mapping that does what kferry's bench rule does, with the published libraries
// that Redpanda Connect is made of. It is only a yardstick for `cargo xtask bench --suite etl`: messages are made up in memory and what
// comes out is dropped, so that neither a client nor a broker is in it.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/redpanda-data/benthos/v4/public/bloblang"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
)

const stopWithin = 30 * time.Second

func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ") + "\n"
}

func read(path string) ([][]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var lines [][]byte
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		lines = append(lines, append([]byte(nil), scanner.Bytes()...))
	}
	if len(lines) == 0 && scanner.Err() == nil {
		return nil, errors.New("no messages")
	}
	return lines, scanner.Err()
}

// What went in and came out.
type tally struct {
	in, out, records, written int64
	first                     []byte
}

func (t *tally) take(message *service.Message) error {
	value, err := message.AsBytes()
	if err != nil {
		return err
	}
	if t.first == nil {
		t.first = append([]byte(nil), value...)
	}
	t.out += int64(len(value))
	t.written++
	return nil
}

// The mapping alone: parse, map, encode, in one goroutine.
func loop(mapping string, lines [][]byte, bytes int64) (tally, error) {
	var done tally
	executor, err := bloblang.Parse(mapping)
	if err != nil {
		return done, err
	}
	for at := 0; done.in < bytes; at++ {
		line := lines[at%len(lines)]
		done.in += int64(len(line))
		done.records++
		result, err := service.NewMessage(line).BloblangQuery(executor)
		if err != nil {
			return done, err
		}
		// The filter.
		if result == nil {
			continue
		}
		if err := done.take(result); err != nil {
			return done, err
		}
	}
	return done, nil
}

// The mapping as the one processor of a stream with one pipeline thread, batch by batch.
func stream(mapping string, lines [][]byte, bytes int64, batchBytes int) (tally, error) {
	var done tally
	builder := service.NewStreamBuilder()
	builder.SetThreads(1)
	if err := builder.SetLoggerYAML("level: ERROR"); err != nil {
		return done, err
	}
	produce, err := builder.AddBatchProducerFunc()
	if err != nil {
		return done, err
	}
	if err := builder.AddProcessorYAML("mapping: |\n" + indented(mapping)); err != nil {
		return done, err
	}
	err = builder.AddBatchConsumerFunc(func(_ context.Context, batch service.MessageBatch) error {
		for _, message := range batch {
			if err := message.GetError(); err != nil {
				return err
			}
			if err := done.take(message); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return done, err
	}
	built, err := builder.Build()
	if err != nil {
		return done, err
	}
	ended := make(chan error, 1)
	go func() { ended <- built.Run(context.Background()) }()
	at := 0
	for done.in < bytes {
		var batch service.MessageBatch
		for size := 0; size == 0 || size+len(lines[at%len(lines)]) <= batchBytes; at++ {
			line := lines[at%len(lines)]
			size += len(line)
			done.in += int64(len(line))
			done.records++
			batch = append(batch, service.NewMessage(line))
		}
		if err := produce(context.Background(), batch); err != nil {
			return done, err
		}
	}
	if err := built.StopWithin(stopWithin); err != nil {
		return done, err
	}
	return done, <-ended
}

func main() {
	file := flag.String("messages", "", "file with one message a line")
	mapping := flag.String("mapping", "", "file with the mapping")
	bytes := flag.Int64("bytes", 1_000_000, "bytes of messages")
	batchBytes := flag.Int("batch-bytes", 65536, "bytes of a batch in a stream")
	asStream := flag.Bool("stream", false, "a whole stream, not the mapping alone")
	flag.Parse()
	done, err := run(*file, *mapping, *bytes, *batchBytes, *asStream)
	if err != nil {
		fmt.Fprintln(os.Stderr, "benthos-rule:", err)
		os.Exit(1)
	}
	fmt.Printf("{\"records\":%d,\"bytes\":%d,\"written\":%d,\"bytes_written\":%d}\n%s\n", done.records, done.in, done.written, done.out, done.first)
}

func run(file, mapping string, bytes int64, batchBytes int, asStream bool) (tally, error) {
	lines, err := read(file)
	if err != nil {
		return tally{}, err
	}
	text, err := os.ReadFile(mapping)
	if err != nil {
		return tally{}, err
	}
	if asStream {
		return stream(string(text), lines, bytes, batchBytes)
	}
	return loop(string(text), lines, bytes)
}
