// Package torture holds no code but tests: they prove that nothing that was
// acknowledged is lost. Each runs the real manager beside a real kube-apiserver
// under a load of TLS deliveries, does to it what happens to programs and disks,
// and then compares what the senders were told with what the store holds:
//
//	acknowledged ⊆ stored, nothing stored twice, stored ⊆ sent,
//	every stored event's raw readable and the very bytes that were stored.
//
// go test runs few rounds; make torture runs a thousand and prints a table.
// docs/testing.md says what each scenario does and how to read the table.
package torture
