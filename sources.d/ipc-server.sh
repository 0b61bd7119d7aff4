#!/bin/sh
# Finds a Node.js that is new enough and becomes ipc-server.js, which lies beside this file, with the same arguments;
# or, behind `--program FILE`, another program that lies there.
# Plain POSIX sh. With a good `node` on PATH the only other process is one `node --version`.
# Prints nothing of its own, except one line on stderr when it can't go on. Never execs a Node that is too old:
# The programs rely on that when they re-run themselves through this file.

node=    # the Node to run, once there is one
found=   # the first that was too old, for the error
refused= # the last that was too old: /bin and /usr/bin are often one folder

fail() {
  printf 'Error: %s\n' "$1" >&2
  exit 1
}

# recent MAJOR MINOR: new enough?
recent() {
  [ "$1" -gt 22 ] 2>/dev/null || { [ "$1" -eq 22 ] && [ "$2" -ge 14 ]; } 2>/dev/null
}

# try FILE: is it a Node that is new enough? A version manager's shim may fail or print anything.
try() {
  # shellcheck disable=SC3013 # -ef is in POSIX since 2024, and in every sh in use
  if [ -n "$refused" ] && [ "$1" -ef "$refused" ]; then return 1; fi
  answer=$("$1" --version </dev/null 2>/dev/null) || return 1
  case $answer in
    *[!0-9A-Za-z.+-]*) return 1 ;;
    v[0-9]*.[0-9]*.[0-9]*) ;;
    *) return 1 ;;
  esac
  rest=${answer#v}
  major=${rest%%.*}
  rest=${rest#*.}
  minor=${rest%%.*}
  case $major$minor in *[!0-9]*) return 1 ;; esac
  if recent "$major" "$minor"; then
    node=$1
  else
    found=${found:-"$answer at $1"}
    refused=$1
    return 1
  fi
}

# try_file FILE: the same, if there is such a program.
try_file() {
  [ -f "$1" ] && [ -x "$1" ] && try "$1"
}

# try_path: every node on PATH.
try_path() {
  set -f
  IFS=:
  # shellcheck disable=SC2086 # split at the colons
  set -- $PATH
  unset IFS
  set +f
  for folder; do
    try_file "${folder:-.}/node" && return 0
  done
  return 1
}

# try_versions BEFORE AFTER: the newest that works of BEFORE<version>AFTER, by the version in its folder's name.
try_versions() {
  below=
  while :; do
    best=
    for file in "$1"*"$2"; do
      [ -x "$file" ] || continue
      name=${file#"$1"}
      name=${name%"$2"}
      name=${name#v}
      case $name in [0-9]*.[0-9]*.[0-9]*) ;; *) continue ;; esac
      rest=${name#*.}
      patch=${rest#*.}
      patch=${patch%%[!0-9]*}
      set -- "$1" "$2" "${name%%.*}" "${rest%%.*}" "${patch:-0}"
      case $3$4$5.$3.$4.$5 in *[!0-9.]* | ??????????*.*.*.* | *.0[0-9]*) continue ;; esac
      if ! recent "$3" "$4"; then
        found=${found:-"v$name at $file"}
        continue
      fi
      rank=$(($3 * 100000000 + $4 * 10000 + $5))
      [ -z "$below" ] || [ "$rank" -lt "$below" ] || continue
      [ -z "$best" ] || [ "$rank" -gt "$best_rank" ] || continue
      best=$file
      best_rank=$rank
    done
    [ -n "$best" ] || return 1
    try "$best" && return 0
    below=$best_rank
  done
}

# try_elsewhere: where version managers and package managers put it. A shell that an editor or a service starts has
# often none of them on PATH.
try_elsewhere() {
  home=${HOME:-/nowhere}
  data=${XDG_DATA_HOME:-$home/.local/share}
  try_versions "${NVM_DIR:-$home/.nvm}/versions/node/" /bin/node && return 0
  for folder in ${FNM_DIR:+"$FNM_DIR"} "$data/fnm" "$home/.fnm" "$home/Library/Application Support/fnm"; do
    try_versions "$folder/node-versions/" /installation/bin/node && return 0
  done
  try_versions "${VOLTA_HOME:-$home/.volta}/tools/image/node/" /bin/node && return 0
  try_versions "${ASDF_DATA_DIR:-$home/.asdf}/installs/nodejs/" /bin/node && return 0
  try_versions "${MISE_DATA_DIR:-$data/mise}/installs/node/" /bin/node && return 0
  for file in \
    /opt/homebrew/bin/node /opt/homebrew/opt/node*/bin/node \
    /usr/local/bin/node /usr/local/opt/node*/bin/node \
    /home/linuxbrew/.linuxbrew/bin/node /home/linuxbrew/.linuxbrew/opt/node*/bin/node \
    /usr/bin/node; do
    try_file "$file" && return 0
  done
  return 1
}

case $0 in
  */*) self=$0 ;;
  *) if [ -f "./$0" ]; then self=./$0; else self=$(command -v "$0"); fi ;;
esac
case $self in -*) self=./$self ;; esac
while [ -L "$self" ]; do
  target=$(PATH=$PATH:/usr/bin:/bin && readlink "$self") || fail "el-ipc can't follow the link $self."
  case $target in
    /*) self=$target ;;
    *) self=${self%/*}/$target ;;
  esac
done
here=${self%/*}
program=ipc-server.js
if [ "$1" = --program ]; then
  program=$2
  shift 2
fi
[ -f "$here/$program" ] || fail "el-ipc is incomplete: there is no $program beside $self."

if [ -n "$EL_IPC_NODE" ]; then
  try "$EL_IPC_NODE" || fail "EL_IPC_NODE is $EL_IPC_NODE, which isn't a Node.js 22.14 or newer${found:+ (it is ${found%% *})}."
else
  try_path || try_file "$here/../node_modules/node/bin/node" || try_elsewhere ||
    fail "el-ipc needs Node.js 22.14 or newer; found ${found:-none}. Install one, or set EL_IPC_NODE to its path."
fi
exec "$node" "$here/$program" "$@"
