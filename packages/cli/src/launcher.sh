# How the command starts: these lines stand in front of dist/main.js, which is a shell script and a program of Node in one.
# What they set can only be set before Node runs. docs/performance.md, "How Node is started", has what each is worth.

# The command connects to nothing; Node would read all these certificates first.
unset NODE_EXTRA_CA_CERTS

# glibc: memory in huge pages, for one page fault in place of 512, and more of it at a time. Other C libraries do not look.
export GLIBC_TUNABLES="${GLIBC_TUNABLES-glibc.malloc.hugetlb=1:glibc.malloc.top_pad=4194304}"

# Short runs end before four threads of V8 have paid for the memory that each compiles in; and before more memory for young objects
# has saved as much as the system takes for it.
exec node --v8-pool-size=1 --max-semi-space-size=2 "$0" "$@"
