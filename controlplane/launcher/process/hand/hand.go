//go:build linux

package hand

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

func init() {
	if len(os.Args) == 3 && os.Args[1] == Arg {
		os.Exit(serve(os.Args[2]))
	}
}

// serve carries out the order and returns the exit code. Descriptors are closed
// on exec before anything else, and locks end with the process: nothing is
// closed by hand.
func serve(folder string) int {
	closeOnExec()
	h := hand{folder: folder, answers: json.NewEncoder(os.NewFile(AnswerFD, "answers"))}
	var o Order
	if err := json.NewDecoder(os.NewFile(OrderFD, "order")).Decode(&o); err != nil {
		return h.refuse(fault(StepOrder, err))
	}
	done, err := h.do(o)
	var refusal *Answer
	switch f := (*Fault)(nil); {
	case err == nil:
		done.Done = true
		h.answer(done)
		return 0
	case errors.As(err, &refusal):
		h.answer(*refusal)
		return 1
	case errors.As(err, &f):
		return h.refuse(f)
	default:
		return h.refuse(fault(StepOrder, err))
	}
}

type hand struct {
	folder  string
	answers *json.Encoder
}

// answer tells the control plane; one that is gone need not know.
func (h *hand) answer(a Answer) { _ = h.answers.Encode(a) }

func (h *hand) refuse(f *Fault) int {
	h.answer(Answer{Fault: f})
	return 1
}

// Error makes a refusal an error, within this package.
func (a *Answer) Error() string {
	return "another control plane leads, with epoch " + strconv.FormatInt(a.Leader.Epoch, 10)
}

func (h *hand) do(o Order) (Answer, error) {
	how := syscall.LOCK_SH
	if o.Lead || o.Name != nil {
		how = syscall.LOCK_EX
	}
	if err := h.lock(how); err != nil {
		return Answer{}, fault(StepLock, err)
	}
	if o.Name != nil {
		return h.name(o.Name.Wanted)
	}
	present, err := ReadLeader(h.folder)
	if err != nil {
		return Answer{}, fault(StepLeader, err)
	}
	if o.Lead {
		return Answer{}, h.lead(o.Leader, present)
	}
	if present != o.Leader {
		return Answer{}, &Answer{Leader: present}
	}
	switch {
	case o.Execute != nil:
		return Answer{}, h.execute(o.Execute)
	case o.Signal != nil:
		return Answer{}, send(o.Signal)
	case o.Discard != nil:
		return Answer{}, discard(o.Discard)
	}
	return Answer{}, errors.New("the order has no act")
}

// lock waits for the folder's lock. It is held until the process ends, or
// executes a program.
func (h *hand) lock(how int) error {
	fd, err := syscall.Open(h.folder+"/"+LockFile, syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	for {
		if err := syscall.Flock(fd, how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// ReadLeader says who leads at the folder. Without a lock the answer is one of
// the past.
func ReadLeader(folder string) (Leader, error) {
	b, err := os.ReadFile(folder + "/" + EpochFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Leader{}, nil
	}
	if err != nil {
		return Leader{}, err
	}
	return ParseLeader(string(b))
}

// closeOnExec keeps descriptors that were inherited from going on to the
// program; those that Go opens never do.
func closeOnExec() {
	if closeRange(3) == nil {
		return
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}
