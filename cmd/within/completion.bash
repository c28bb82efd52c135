# SPDX-License-Identifier: Apache-2.0
#
# Completion of within(1) for bash: source this, or copy it to /usr/share/bash-completion/completions/within.

_within() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} options
  options='--all --target --mount --uts --ipc --net --pid --cgroup --user --user-parent --time --setuid --setgid
    --preserve-credentials --keep-caps --root --wd --wdns --env --join-cgroup --no-fork --follow-context --like --help'
  if [ "${COMP_WORDS[1]}" = new ]; then
    options='--mount --uts --ipc --net --pid --user --cgroup --time --fork --map-root-user --map-auto --map-users
      --map-groups --kill-child --mount-proc --propagation --keep-caps --root --wd --setuid --setgid --monotonic
      --boottime --help'
  fi
  case $before in
    -t | --target | --like)
      # shellcheck disable=SC2207 # numbers have no spaces
      COMPREPLY=($(cd /proc && compgen -G '[0-9]*' -- "$word" | grep "^$word"))
      return ;;
    --propagation)
      # shellcheck disable=SC2207 # nor have these words
      COMPREPLY=($(compgen -W 'private shared slave unchanged' -- "$word"))
      return ;;
    -r | -w | -R | --root | --wd | --wdns)
      mapfile -t COMPREPLY < <(compgen -d -- "$word")
      return ;;
  esac
  case $word in
    -*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word") ;;
    *) mapfile -t COMPREPLY < <(compgen -c -- "$word") ;;
  esac
}
complete -F _within within
