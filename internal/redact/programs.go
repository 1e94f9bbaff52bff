package redact

import "strings"

// program is how a program takes credentials on its command line.
type program struct {
	// secret are short flags whose value is secret, attached or as the next
	// word; user are those whose value is user:secret; header those whose value
	// is a header.
	secret, user, header string
	// attached are beginnings of words whose rest is secret: -hp, /p:.
	attached string
	// phrases say which words are secret by the words before them.
	phrases []phrase
	// only is a word without which the short flags mean something else.
	only string
	// stdin is the flag by which the program reads a password from its standard
	// input; * says that it always does.
	stdin string
	// clusters says that several short flags may stand together: -sSu.
	clusters bool
	// pairs says that everything after an = is secret.
	pairs bool
	// logins says that words are user/secret@database, and addresses that they
	// are user:secret@host.
	logins, addresses bool
}

// programs are those that take credentials by flags of one letter, or by the
// place. Long flags and variables are known by their names, whatever the
// program.
var programs = func() map[string]*program {
	all := map[string]*program{}
	add := func(p program, list string, lines ...string) {
		for _, line := range lines {
			p.phrases = append(p.phrases, strings.Fields(line))
		}
		if len(p.phrases) > maxPhrases {
			panic("redact: too many phrases of " + list)
		}
		for _, name := range strings.Fields(list) {
			all[name] = &p
		}
	}
	add(program{secret: "p"}, "mysql mysqldump mysqladmin mysqlcheck mysqlimport mysqlshow mysqlslap mysqlpump mycli mariadb mariadb-dump mariadb-admin mariadb-check mariadb-import mariabackup xtrabackup innobackupex mydumper myloader "+
		"mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat mongotop mongofiles sshpass cqlsh rabbitmqadmin beeline twine ncftp ncftpget ncftpput ncftpls useradd usermod arangosh arangodump arangorestore couchbase-cli cbq cbbackupmgr taosdump "+
		"cypher-shell elasticsearch-users hdbsql rdesktop")
	add(program{secret: "p", addresses: true}, "mysqlsh")
	add(program{secret: "p"}, "nodetool", "-pw !")
	add(program{secret: "pt"}, "influx")
	add(program{secret: "t"}, "codecov")
	add(program{secret: "p", only: "login"}, "docker podman nerdctl buildah helm oc az cf argocd crane oras skopeo regctl ibmcloud heroku")
	add(program{user: "u"}, "ctr")
	add(program{secret: "aA"}, "redis-cli redis-benchmark valkey-cli keydb-cli", "auth !+", "requirepass !", "masterauth !", "setuser * !+")
	add(program{user: "uUE", header: "H", secret: "b", clusters: true}, "curl")
	add(program{user: "a", header: "h"}, "http https httpie xh xhs wrk hey")
	add(program{secret: "w", user: ""}, "ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami ldapcompare ldapmodrdn")
	add(program{secret: "wsa"}, "ldappasswd")
	add(program{secret: "P"}, "sqlcmd bcp tsql zip unzip ipmitool mosquitto_pub mosquitto_sub wsadmin osql go-sqlcmd dsmadmc") //nolint:misspell // a program's name
	add(program{secret: "P"}, "isql", "* * !")
	add(program{secret: "p", attached: "-hp"}, "7z 7za rar unrar")
	add(program{attached: "/p:"}, "xfreerdp xfreerdp3 wfreerdp")
	add(program{secret: "kK"}, "openssl", "passwd !+", "-hmac !")
	add(program{secret: "AXc"}, "snmpwalk snmpget snmpset snmpbulkwalk")
	add(program{user: "u", secret: "p"}, "etcdctl lftp")
	add(program{user: "U"}, "smbclient rpcclient", "//* !")
	add(program{user: "U"}, "net")
	add(program{user: "y"}, "dig nsupdate")
	add(program{}, "rabbitmqctl", "add_user * !", "change_password * !", "authenticate_user * !")
	add(program{pairs: true}, "vault bao", "login !", "unseal !", "unwrap !")
	add(program{}, "consul", "kv put * !", "set-agent-token * !")
	add(program{}, "mc mcli", "alias set * * * !+", "config host add * * * !+", "admin user add * * !", "user svcacct add * * !")
	add(program{logins: true}, "sqlplus sqlldr expdp impdp exp imp rman sqlcl")
	add(program{}, "grafana-cli grafana", "reset-admin-password !")
	add(program{}, "rclone", "obscure !", "config create * * ? !", "config update * ? !", "config password * * !")
	add(program{}, "aws", "aws_secret_access_key !", "aws_session_token !")
	add(program{}, "gcloud", "activate-refresh-token * !")
	add(program{}, "git npm yarn pnpm wp poetry heroku-config", "config ? !", "config set ? !")
	add(program{}, "drush", "upwd * !", "user:password * !")
	add(program{}, "neo4j-admin", "set-initial-password !")
	add(program{}, "ansible-vault", "encrypt_string !")
	add(program{}, "cloudflared", "service install !")
	add(program{}, "ngrok", "authtoken !", "add-authtoken !")
	add(program{}, "bw", "login * !", "unlock !")
	add(program{}, "snyk", "auth !")
	add(program{}, "db2", "using !")
	add(program{}, "setx ENV", "? !")
	add(program{}, "ConvertTo-SecureString", "!")
	add(program{}, "htpasswd", "-b^n * * !", "-bn * !", "-b -n * !", "-n -b * !")
	add(program{secret: "NP"}, "ssh-keygen")
	add(program{secret: "s"}, "smbpasswd cadaver")
	add(program{stdin: "*"}, "kinit passwd chpasswd vncpasswd pass")
	add(program{stdin: "S"}, "sudo")
	return all
}()
