#!/bin/sh
# Links our event source to where event-listeners looks for sources, and re-points the link after an update, since
# each version of a plugin has a folder of its own. A user's own file or link of that name stays as it is.
# A session never fails for this: silent, quick, and 0 whatever happens.

exec </dev/null >/dev/null 2>&1
PATH=$PATH:/usr/bin:/bin

case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
root=$(CDPATH='' cd -- "$here/.." && pwd) || exit 0
ours=$root/sources.d/ipc-server.sh
[ -f "$ours" ] || exit 0

base=${CLAUDE_EVENT_LISTENERS_DIR:-${HOME:+$HOME/.config/claude-event-listeners}}
case $base in /*) ;; *) exit 0 ;; esac
link=$base/sources.d/ipc-server.sh

if [ ! -L "$link" ]; then
  [ ! -e "$link" ] || exit 0
  mkdir -p "$base/sources.d" && ln -s "$ours" "$link"
  exit 0
fi

target=$(readlink "$link") || exit 0
[ "$target" != "$ours" ] || exit 0
[ ! -d "$link" ] || exit 0
case $target in
  */sources.d/ipc-server.sh) ;;
  *) [ ! -e "$link" ] || exit 0 ;;
esac
# A rename replaces the link in one step: whoever starts the source meanwhile finds the old one or the new.
new=$base/sources.d/.ipc-server.$$
ln -s "$ours" "$new" && mv -f "$new" "$link" && exit 0
rm -f "$new"
exit 0
