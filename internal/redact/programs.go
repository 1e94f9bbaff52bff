package redact

import "strings"

// program is how a program takes credentials on its command line.
type program struct {
	// secret are short flags whose value is secret, attached or as the next
	// word; user are those whose value is user:secret; header those whose value
	// is a header.
	secret, user, header string
	// after are words after which the next one is secret, and afterTwo and
	// afterThree those after which the second and the third one are.
	after, afterTwo, afterThree []string
	// only is a word without which the short flags mean something else.
	only string
	// clusters says that several short flags may stand together: -sSu.
	clusters bool
	// pairs says that everything after an = is secret.
	pairs bool
}

// programs are those that take credentials by flags of one letter, or by the
// place. Long flags and variables are known by their names, whatever the
// program.
var programs = func() map[string]*program {
	all := map[string]*program{}
	add := func(p program, list string) {
		for _, name := range strings.Fields(list) {
			all[name] = &p
		}
	}
	add(program{secret: "p"}, "mysql mysqldump mysqladmin mysqlcheck mysqlimport mysqlshow mysqlslap mysqlpump mysqlsh mycli mariadb mariadb-dump mariadb-admin mariadb-check mariadb-import mariabackup xtrabackup innobackupex mydumper myloader "+
		"mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat mongotop mongofiles sshpass cqlsh nodetool rabbitmqadmin beeline twine ncftp ncftpget ncftpput ncftpls useradd usermod influx arangosh arangodump arangorestore couchbase-cli cbq cbbackupmgr taosdump")
	add(program{secret: "p", only: "login"}, "docker podman nerdctl buildah helm oc az cf argocd crane oras skopeo regctl ctr ibmcloud heroku")
	add(program{secret: "aA", after: []string{"auth", "requirepass", "masterauth"}}, "redis-cli redis-benchmark valkey-cli keydb-cli")
	add(program{user: "uU", header: "H", secret: "b", clusters: true}, "curl")
	add(program{user: "a", header: "h"}, "httpie xh wrk hey")
	add(program{secret: "w", user: ""}, "ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami ldapcompare ldapmodrdn")
	add(program{secret: "wsa"}, "ldappasswd")
	add(program{secret: "P"}, "sqlcmd bcp tsql isql zip unzip ipmitool mosquitto_pub mosquitto_sub wsadmin osql go-sqlcmd dsmadmc") //nolint:misspell // a program's name
	add(program{secret: "p", after: []string{"hp"}}, "7z 7za rar unrar")
	add(program{secret: "kK"}, "openssl")
	add(program{secret: "AXc"}, "snmpwalk snmpget snmpset snmpbulkwalk")
	add(program{user: "u", secret: "p"}, "etcdctl lftp")
	add(program{user: "U"}, "smbclient rpcclient")
	add(program{afterTwo: []string{"add_user", "change_password", "authenticate_user"}}, "rabbitmqctl")
	add(program{after: []string{"login"}, pairs: true}, "vault bao")
	add(program{after: []string{"reset-admin-password"}}, "grafana-cli grafana")
	add(program{after: []string{"obscure"}}, "rclone")
	add(program{after: []string{"aws_secret_access_key", "aws_session_token"}}, "aws")
	add(program{afterThree: []string{"-b", "-bn", "-nb", "-Bb", "-bB", "-bc", "-cb", "-cbB", "-bnB", "-nbB"}}, "htpasswd")
	add(program{secret: "NP"}, "ssh-keygen")
	add(program{secret: "s"}, "smbpasswd cadaver")
	return all
}()
