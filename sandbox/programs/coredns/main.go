// Command coredns is CoreDNS with the plugins the sandbox's Corefile names and no other: the default set brings the SDKs
// of three clouds, which cost minutes to compile.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/rewrite"
	_ "github.com/coredns/coredns/plugin/template"
)

// The order in which plugins see a request, as in CoreDNS's plugin.cfg.
var directives = []string{"ready", "health", "errors", "rewrite", "template", "kubernetes"}

func main() {
	dnsserver.Directives = directives
	coremain.Run()
}
