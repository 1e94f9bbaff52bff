package auth

import "sync"

// tokensKnown bounds the memory of tokens that were good.
const tokensKnown = 4096

// known remembers which tokens were good when they were last asked about. It
// answers for nothing: it only tells those who are signed in from who is not
// known, so that these keep only each other waiting.
type known struct {
	mu     sync.Mutex
	tokens map[key]struct{}
}

func newKnown() *known { return &known{tokens: map[key]struct{}{}} }

func (n *known) has(k key) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := n.tokens[k]
	return ok
}

func (n *known) remove(k key) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.tokens, k)
}

// add takes in a token to which the API server says yes, so that nobody pushes
// others out by making tokens up.
func (n *known) add(k key) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for other := range n.tokens {
		if len(n.tokens) < tokensKnown {
			break
		}
		delete(n.tokens, other)
	}
	n.tokens[k] = struct{}{}
}
