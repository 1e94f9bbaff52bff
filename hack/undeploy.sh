#!/usr/bin/env bash
# Removes the operator from the cluster of kubectl's current context: what
# config/default and config/overlays/postgres install, and what the operator
# made by itself. docs/operations/uninstall.md says what to do before, and what
# is left. Nothing is changed without CONFIRM=yes.
#
# Every wait is bounded, also where the operator, the CRDs or the namespace are
# gone already. It can be run again at any time.
#
#   CONFIRM=yes      do it, instead of saying what would be done
#   KEEP_DATA=yes    leave the namespace with its PersistentVolumeClaims
#   NAMESPACE        where the operator is (default audit-system)
#   DB_NAMESPACE     where its migration is (default audit-db)
#   WAIT             seconds that each wait takes at most (default 90)
#   KUBECTL          the kubectl to use
set -euo pipefail

readonly namespace=${NAMESPACE:-audit-system} database=${DB_NAMESPACE:-audit-db} wait=${WAIT:-90}
readonly name=audit-operator group=audit.porter.run finalizer=audit.porter.run/finalizer
# Queries first: their finalizer is what waits for the operator.
readonly queries=(auditlogqueries clusterauditlogqueries)
readonly kinds=("${queries[@]}" auditsources auditresourcetypes)
readonly roles=($name auditlog-viewer auditlog-editor auditlog-metrics-reader auditlog-profiler auditlog-quarantine-viewer)
readonly bindings=($name audit-operator-scraper)
readonly label=app.kubernetes.io/name=$name
failed=

k() { "${KUBECTL:-kubectl}" --request-timeout=20s "$@"; }
step() { printf '\n== %s\n' "$*"; }
# One thing that can't be deleted keeps nothing else from being deleted.
try() { "$@" || failed=yes; }
delete() { try k delete --ignore-not-found --wait=false "$@"; }
delete_there() { delete -n "$namespace" "$@"; }

# gone awaits that a command prints nothing more, and prints what is left. One
# that fails does not know.
gone() {
  local left end=$((SECONDS + wait))
  while :; do
    if left=$("$@") && [ -z "$left" ]; then return 0; fi
    if [ $SECONDS -ge $end ]; then
      printf 'Still there after %d s:\n%s\n' "$wait" "$left"
      return 1
    fi
    sleep 1
  done
}

names() { k get --ignore-not-found -o name "$@"; }
crd() { names crd "$1.$group"; }
# served is crd, without those whose deletion has begun: such a CRD deletes its
# objects by itself, and the API server may have stopped to serve them.
served() { k get --ignore-not-found crd "$1.$group" -o go-template='{{if not .metadata.deletionTimestamp}}{{.metadata.name}}{{end}}'; }
# A kind that goes while its objects are being deleted is no failure.
delete_all() { k delete --ignore-not-found --wait=false "$1.$group" --all --all-namespaces || [ -z "$(served "$1")" ] || failed=yes; }
objects() { # of the kinds whose CRDs are there
  local kind found
  for kind in "$@"; do
    found=$(crd "$kind") || return 1
    if [ -n "$found" ]; then names "$kind.$group" --all-namespaces || return 1; fi
  done
}
pods() { names -n "$namespace" pods -l "$label"; }
running() { names -n "$namespace" pods -l "$label" --field-selector=status.phase=Running; }
present() { names namespace "$1"; }
# ours: the namespace was installed, and does not merely hold the operator.
ours() { names namespace -l "$label" --field-selector="metadata.name=$namespace"; }

# release takes the operator's finalizer away from all objects of a kind, and no
# other's. The patch says where in the list it stands, and fails where that has
# changed meanwhile; then the next round does it.
release() {
  local kind=$1 found index
  found=$(k get "$kind.$group" --all-namespaces -o go-template='{{range $o := .items}}{{range $i, $f := .metadata.finalizers}}{{if eq $f "'$finalizer'"}}{{printf "%d {\"apiVersion\":%q,\"kind\":%q,\"metadata\":{\"name\":%q" $i $o.apiVersion $o.kind $o.metadata.name}}{{with $o.metadata.namespace}}{{printf ",\"namespace\":%q" .}}{{end}}{{"}}\n"}}{{end}}{{end}}{{end}}')
  for index in $(cut -d' ' -f1 <<<"$found" | sort -u); do
    awk -v at="$index" '$1 == at { sub(/^[0-9]+ /, ""); print "---"; print }' <<<"$found" | k patch -f - --type=json -p '[
      {"op": "test", "path": "/metadata/finalizers/'"$index"'", "value": "'$finalizer'"},
      {"op": "remove", "path": "/metadata/finalizers/'"$index"'"}]' || true
  done
}

# unfinished releases what is left of the operator's objects and prints which
# CRDs are there, which are gone once their objects are.
unfinished() {
  local kind found
  for kind in "${kinds[@]}"; do
    found=$(crd "$kind") || return 1
    if [ -n "$found" ]; then
      release "$kind" >/dev/null 2>&1 || true # its CRD has just gone
      echo "$found"
    fi
  done
}

# foreign_bindings prints who was given a role that is going.
foreign_bindings() {
  k get clusterrolebindings,rolebindings --all-namespaces -o go-template='{{range .items}}{{if and (eq .roleRef.kind "ClusterRole") (eq .roleRef.name'"$(printf ' "%s"' "${roles[@]}")"')}}{{.kind}} {{with .metadata.namespace}}{{.}}/{{end}}{{.metadata.name}} ({{.roleRef.name}}){{"\n"}}{{end}}{{end}}' |
    grep -vE "^[A-Za-z]+ ($namespace/)?($name|$name-scraper) " || true
}

plan() {
  local kind
  printf 'Cluster: %s\n' "$(k config view --minify -o jsonpath='{.contexts[0].name} at {.clusters[0].cluster.server}')"
  printf 'To be deleted there, and never to be had again:\n'
  for kind in "${kinds[@]}"; do
    if [ -n "$(crd "$kind")" ]; then
      printf '  all %s (%d) and their CRD\n' "$kind" "$(objects "$kind" | wc -l)"
    fi
  done
  printf '  the ClusterRoles %s\n  the ClusterRoleBindings %s\n' "${roles[*]}" "${bindings[*]}"
  if [ -n "$(present "$database")" ]; then
    printf '  the migration in the namespace %s; the namespace itself stays, a database may be in it\n' "$database"
  fi
  if [ -z "$(present "$namespace")" ]; then
    printf '  (there is no namespace %s)\n' "$namespace"
  elif [ "${KEEP_DATA:-}" = yes ] || [ -z "$(ours)" ]; then
    printf '  the operator and what it made in the namespace %s; the namespace and its PersistentVolumeClaims stay\n' "$namespace"
  else
    printf '  the namespace %s with everything in it:\n' "$namespace"
    names -n "$namespace" persistentvolumeclaims,statefulsets,deployments,secrets | sed 's/^/    /'
    printf '  The log of the embedded store is in the PersistentVolumeClaim. KEEP_DATA=yes leaves it.\n'
  fi
  if [ -n "$(crd auditsources)" ] && [ -n "$(objects auditsources)" ]; then
    printf '\nAPI servers that send here: take their --audit-webhook-config-file out first, then the files\n'
    printf '(docs/operations/uninstall.md). kube-apiserver does not start without a file that a flag names.\n'
    k get auditsources.$group || true
  fi
}

case $namespace in
  '' | default | kube-* | "$database") echo "NAMESPACE=$namespace: give the operator's own namespace, such as audit-system."; exit 2 ;;
esac
[[ $wait =~ ^[0-9]+$ ]] || { echo "WAIT=$wait: give a number of seconds."; exit 2; }
k get --raw /version >/dev/null || { echo "The API server does not answer; nothing was changed."; exit 1; }
plan
if [ "${CONFIRM:-}" != yes ]; then
  printf '\nNothing was changed. To do this: make undeploy CONFIRM=yes\n'
  exit 2
fi

step "Queries, while the operator can remove their snapshots"
for kind in "${queries[@]}"; do
  if [ -n "$(served "$kind")" ]; then delete_all "$kind"; fi
done
if [ -n "$(running)" ]; then
  gone objects "${queries[@]}" || echo "They go without the operator."
else
  echo "No operator runs in $namespace; they go without it."
fi

step "The operator"
# What starts it again goes before it.
delete_there horizontalpodautoscaler,poddisruptionbudget,statefulset,deployment $name
delete_there pods -l "$label"
gone pods || echo "The rest goes on without waiting for them."

step "Finalizers, objects and CRDs"
for kind in "${kinds[@]}"; do
  if [ -n "$(served "$kind")" ]; then
    delete_all "$kind"
    # unfinished does it again, until nothing is left.
    release "$kind" || true
    delete crd "$kind.$group"
  fi
done
if ! gone unfinished; then
  failed=yes
  echo "Objects with a finalizer that is not the operator's (kubectl get ... -o yaml says whose):"
  objects "${kinds[@]}" || true
fi

step "Roles and what the operator has and made in its namespace"
people=$(foreign_bindings)
delete clusterrolebinding "${bindings[@]}"
delete clusterrole "${roles[@]}"
if [ -n "$(present "$namespace")" ]; then
  delete_there role,rolebinding $name audit-operator-leader
  delete_there service $name audit-operator-ingest
  delete_there networkpolicy,serviceaccount,lease,secret,configmap -l "$label"
  delete_there lease $name
  delete_there secret -l app.kubernetes.io/managed-by=$name
  # Generated ConfigMaps have no label, and a hash in their name.
  names -n "$namespace" configmaps | { grep -E "^configmap/$name(-[a-z0-9]{10})?$" || true; } | while read -r map; do
    k delete -n "$namespace" --ignore-not-found "$map"
  done || failed=yes
fi
if [ -n "$(present "$database")" ]; then
  delete -n "$database" job,networkpolicy,configmap -l "$label-migrate"
fi

step "The namespace"
if [ -z "$(present "$namespace")" ]; then
  echo "There is none."
elif [ "${KEEP_DATA:-}" = yes ]; then
  echo "$namespace stays, with:"
  names -n "$namespace" persistentvolumeclaims
elif [ -z "$(ours)" ]; then
  echo "$namespace stays: it lacks the label $label, so it is not the operator's own."
else
  delete namespace "$namespace"
  echo "Kubernetes empties it; kubectl get namespace $namespace says when it is gone."
fi

if [ -n "$people" ]; then
  printf '\nThese bindings name roles that are gone. Delete them, or they grant again what is installed by the same name:\n%s\n' "$people"
fi
if [ -n "$failed" ]; then
  printf '\nNot everything could be deleted; see above. It can be run again.\n'
  exit 1
fi
printf '\nDone. What is not in the cluster is in docs/operations/uninstall.md.\n'
