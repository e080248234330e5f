package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// screenshot starts a browser, takes a picture of url, and kills the browser. No process that this program
// started is left unwaited when it returns: Wait is called, whatever happened. What the browser started in its
// turn (zygotes, a GPU process, renderers, a crash handler) is not this program's to wait for. The kernel hands
// them to PID 1 when the browser dies.
func screenshot(ctx context.Context, browser, url string) ([]byte, error) {
	profile, err := os.MkdirTemp("", "screenshot-")
	if err != nil {
		return nil, err
	}
	defer remove(profile)

	// The browser reads commands from descriptor 3 and writes answers to 4.
	commandsOut, commands, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer commands.Close()
	answers, answersIn, err := os.Pipe()
	if err != nil {
		commandsOut.Close()
		return nil, err
	}
	defer answers.Close()

	ctx, cancel := context.WithCancel(ctx)
	command := exec.CommandContext(ctx, browser,
		"--headless", "--remote-debugging-pipe", "--user-data-dir="+profile,
		"--no-sandbox", // refused to root otherwise
		"--disable-dev-shm-usage", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
		"--window-size=800,600", "about:blank")
	command.Env = append(os.Environ(), "HOME="+profile)
	// Stdout and Stderr stay nil, which is /dev/null. A buffer here would make Wait wait for end-of-file, and so
	// for every orphan that holds the pipe.
	command.ExtraFiles = []*os.File{commandsOut, answersIn}
	err = command.Start()
	commandsOut.Close()
	answersIn.Close()
	if err != nil {
		cancel()
		return nil, err
	}
	defer command.Wait()
	defer cancel() // kills the browser, before the Wait above
	go func() {
		<-ctx.Done()
		answers.Close() // ends a Read, even where an orphan holds the other end
	}()

	session := devTools{commands: commands, answers: bufio.NewReader(answers)}
	png, err := session.capture(url)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return png, err
}

// remove removes a directory in which the orphans of a killed browser may still be writing.
func remove(directory string) {
	for tries := 0; os.RemoveAll(directory) != nil && tries < 100; tries++ {
		time.Sleep(10 * time.Millisecond)
	}
}

// devTools speaks the Chrome DevTools Protocol over --remote-debugging-pipe: JSON, each message ended by a zero.
type devTools struct {
	commands *os.File
	answers  *bufio.Reader
	session  string
	lastID   int
}

type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

func (d *devTools) capture(url string) ([]byte, error) {
	var target struct{ TargetID string }
	if err := d.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target); err != nil {
		return nil, err
	}
	var attached struct{ SessionID string }
	attach := map[string]any{"targetId": target.TargetID, "flatten": true}
	if err := d.call("Target.attachToTarget", attach, &attached); err != nil {
		return nil, err
	}
	d.session = attached.SessionID
	if err := d.call("Page.enable", nil, nil); err != nil {
		return nil, err
	}
	var navigated struct{ ErrorText string }
	if err := d.call("Page.navigate", map[string]any{"url": url}, &navigated); err != nil {
		return nil, err
	}
	if navigated.ErrorText != "" {
		return nil, errors.New(navigated.ErrorText)
	}
	if err := d.await("Page.loadEventFired"); err != nil {
		return nil, err
	}
	var picture struct{ Data []byte }
	err := d.call("Page.captureScreenshot", map[string]any{"format": "png"}, &picture)
	return picture.Data, err
}

// call sends a command and decodes its answer's result, where the caller wants it.
func (d *devTools) call(method string, params map[string]any, result any) error {
	d.lastID++
	text, err := json.Marshal(map[string]any{
		"id": d.lastID, "method": method, "params": params, "sessionId": d.session,
	})
	if err != nil {
		return err
	}
	if _, err := d.commands.Write(append(text, 0)); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	for {
		answer, err := d.next()
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", method, err)
		case answer.ID != d.lastID:
			continue // an event
		case answer.Error != nil:
			return fmt.Errorf("%s: %s", method, answer.Error.Message)
		case result == nil:
			return nil
		}
		return json.Unmarshal(answer.Result, result)
	}
}

// await reads until the browser reports event.
func (d *devTools) await(event string) error {
	for {
		answer, err := d.next()
		if err != nil {
			return fmt.Errorf("%s: %w", event, err)
		}
		if answer.Method == event {
			return nil
		}
	}
}

func (d *devTools) next() (message, error) {
	var answer message
	text, err := d.answers.ReadBytes(0)
	if err != nil {
		return answer, err
	}
	return answer, json.Unmarshal(text[:len(text)-1], &answer)
}
