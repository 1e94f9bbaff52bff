package main

// certificates are ways to let an authority end, or to shut sources out when
// the next one takes over.
var certificates = []mutant{
	{
		name: "authority-ends", file: "internal/credentials/renewal.go",
		old:      "NotAfter.Add(-2*authorityOverlap)) || asked",
		new:      "NotAfter) || asked",
		packages: []string{"./internal/credentials"}, tests: "TestAuthorityIsRenewed",
	},
	{
		name: "old-authority-not-believed", file: "internal/credentials/renewal.go",
		old:      "{a.next, a.previous} {",
		new:      "{a.next} {",
		packages: []string{"./internal/credentials"}, tests: "TestAuthorityIsRenewed",
	},
	{
		name: "authority-switches-at-once", file: "internal/credentials/renewal.go",
		old:      "a.next.made().Add(authorityOverlap)",
		new:      "a.next.made()",
		packages: []string{"./internal/credentials"}, tests: "TestAuthorityIsRenewed",
	},
	{
		name: "renewal-revokes", file: "internal/credentials/source.go",
		old:      "		name = certificate.Subject.CommonName\n",
		new:      "",
		packages: []string{"./internal/credentials"}, tests: "TestAuthorityIsRenewed",
	},
	{
		name: "authority-takes-over-too-late", file: "internal/credentials/renewal.go",
		old:      "NotAfter.Add(-lastDay)",
		new:      "NotAfter",
		packages: []string{"./internal/credentials"}, tests: "TestAuthorityIsRenewedLate",
	},
	{
		name: "authority-waits-beyond-its-end", file: "internal/credentials/renewal.go",
		old:      "\tif last.Before(at) {\n\t\treturn last\n\t}\n\treturn at\n",
		new:      "\t_ = last\n\treturn at\n",
		packages: []string{"./internal/credentials"}, tests: "TestAuthorityIsRenewedLate",
	},
	{
		name: "authority-ended-meanwhile", file: "internal/credentials/renewal.go",
		old:      "\t\tchanged = true\n",
		new:      "\t\treturn true, nil\n",
		packages: []string{"./internal/credentials"}, tests: "TestAuthorityEndedMeanwhile",
	},
	{
		name: "authority-unsettled", file: "internal/credentials/renewal.go",
		old:      "now.Sub(a.next.made()) >= authoritySettles",
		new:      "now.Sub(a.next.made()) >= 0",
		packages: []string{"./internal/credentials"}, tests: "TestAuthorityIsRenewed|TestAuthorityIsRenewedOnDemand",
	},
	{
		name: "authority-made-anew", file: "internal/credentials/renewal.go",
		old:      "\tif a.settled(now) {\n\t\treturn a.next\n\t}\n",
		new:      "",
		packages: []string{"./internal/credentials"}, tests: "TestAuthorityIsRenewed",
	},
	{
		name: "renewal-asked-for-ever", file: "internal/credentials/renewal.go",
		old:      "\t\tsecret.Data[nextCertKey], secret.Data[nextPrivateKeyKey] = made[corev1.TLSCertKey], made[corev1.TLSPrivateKeyKey]\n\t\tdelete(secret.Annotations, RenewAnnotation)\n",
		new:      "\t\tsecret.Data[nextCertKey], secret.Data[nextPrivateKeyKey] = made[corev1.TLSCertKey], made[corev1.TLSPrivateKeyKey]\n",
		packages: []string{"./internal/credentials"}, tests: "TestAuthorityIsRenewedOnDemand",
	},
	{
		name: "serving-of-a-clock-ahead", file: "internal/credentials/serving.go",
		old:      "!now.Before(certificate.NotBefore) && ",
		new:      "",
		packages: []string{"./internal/credentials"}, tests: "TestServingOfAClockAhead",
	},
	{
		name: "authorities-of-the-start", file: "internal/collector/webhook/server.go",
		old:      "\tconfig.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {\n\t\tnow := config.Clone()\n\t\tnow.ClientCAs = t.ClientCAs()\n",
		new:      "\tpool := t.ClientCAs()\n\tconfig.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {\n\t\tnow := config.Clone()\n\t\tnow.ClientCAs = pool\n",
		packages: []string{"./internal/credentials"}, tests: "TestAuthorityIsRenewed",
	},
	{
		name: "certificates-by-a-clock-ahead", file: "internal/manager/clock.go",
		old:      "known && server.Before(own)",
		new:      "known && own.Before(server)",
		packages: []string{"./internal/manager"}, tests: "TestEarlierClock",
	},
	{
		name: "files-to-copy-untold", file: "internal/credentials/metrics.go",
		old:      "\t\tuntil = float64(at.Unix())\n",
		new:      "\t\tuntil = 0\n",
		packages: []string{"./internal/credentials"}, tests: "TestCertificateMetrics",
	},
}
