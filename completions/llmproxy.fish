# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_llmproxy_global_optspecs
    string join \n env-file= h/help V/version
end

function __fish_llmproxy_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_llmproxy_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_llmproxy_using_subcommand
    set -l cmd (__fish_llmproxy_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c llmproxy -n "__fish_llmproxy_needs_command" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "serve" -d 'Run the proxy'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "user" -d 'Add, list, forbid and allow users'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "costs" -d 'Show who used how many tokens'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "generate" -d 'Write completions/ and man/ into a directory'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l openai-backend-url -d 'Server to forward to, http or https: the client\'s path is appended, /v1 included; a final /v1 here makes no difference. Default, without --openai-base-url: https://api.openai.com' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l openai-base-url -d 'Instead of --openai-backend-url, with the meaning that SDKs give it: the client\'s path is appended, without its /v1' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l openai-api-key -d 'The backend\'s key (required; empty: no Authorization goes to the backend). Flags show in `ps`: prefer the variable or .env' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l openai-org-id -d 'Sent to the backend as OpenAI-Organization' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l openai-project-id -d 'Sent to the backend as OpenAI-Project' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l host -d 'Address to listen on' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l port -d 'Port to listen on; 0: any free port, the log line says which' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l database-url -d 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l store-keys -d 'clear: the database keeps whole keys, `list` shows them again; hashed: only hashes, a key is shown once' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l max-concurrent-requests -d 'Requests at the backend at once, the rest wait in line; 0: unlimited' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l queue-timeout -d 'How long a request may wait in line before it gets 503' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l admin-token -d 'Token that opens /admin from everywhere, as `Authorization: Bearer`. Prefer the variable or .env' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l admin-allow -d 'Networks that may call /admin without a token, for example 10.0.0.0/8,::1; 0.0.0.0/0,::/0 is everybody' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l ledger-sync -d 'normal: rows survive a crash of the proxy; full: each commit waits for the disk and survives a power cut' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l on-ledger-failure -d 'While rows cannot be written: refuse requests, or serve and keep the rows in memory' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l shutdown-grace -d 'How long answers may finish after SIGTERM' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l client-header-timeout -d 'How long a client may take to send the head of a request' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l backend-connect-timeout -d 'How long a connection to the backend may take' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l backend-idle-timeout -d 'Longest silence of the backend, before its first byte and between two' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l stream-usage -d 'ask: add `stream_options.include_usage` to streamed requests that lack it; leave: for backends that do not know it' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l extra-endpoints -d 'Further paths of this backend, such as /v1/rerank,/v1/score,/tokenize; a final * stands for any rest' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l stateful-endpoints -d 'Files, stored responses, conversations, batches and the like: open to each user\'s own, or closed (private, off)' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l settle-interval -d 'How often finished batches and background responses are looked for that nobody has looked at' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l max-body-size -d 'Longest request body' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l rust-log -d 'What is logged, as env_logger reads it: error, warn, info, debug, trace, off' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -f -a "add" -d 'Make a user and print the new key'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -f -a "list" -d 'List all users, their keys masked'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -f -a "forbid" -d 'Stop a user\'s key at once'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -f -a "allow" -d 'Allow a forbidden user\'s key again'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -f -a "hash-keys" -d 'Forget all whole keys and keep their hashes, for good'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l database-url -d 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l store-keys -d 'clear: the database keeps whole keys, `list` shows them again; hashed: only hashes, a key is shown once' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l database-url -d 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -l database-url -d 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -l database-url -d 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -l database-url -d 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "add" -d 'Make a user and print the new key'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "list" -d 'List all users, their keys masked'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "forbid" -d 'Stop a user\'s key at once'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "allow" -d 'Allow a forbidden user\'s key again'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "hash-keys" -d 'Forget all whole keys and keep their hashes, for good'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l last-hours -d 'Only the last N hours, for example 24 or 0.5' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l start-time -d 'Only from this time on' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l end-time -d 'Only up to this time' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l by -d 'Split along these, several separated by commas: endpoint, model, user, day (UTC)' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l user -d 'Only this user' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l database-url -d 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l by-model -d 'A line per user and model'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l csv -d 'Print CSV with a header line; a name that a spreadsheet would take for a formula gets a \' in front'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand generate" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand generate" -s h -l help -d 'Print help'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand generate" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user costs generate help" -f -a "serve" -d 'Run the proxy'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user costs generate help" -f -a "user" -d 'Add, list, forbid and allow users'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user costs generate help" -f -a "costs" -d 'Show who used how many tokens'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user costs generate help" -f -a "generate" -d 'Write completions/ and man/ into a directory'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user costs generate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "add" -d 'Make a user and print the new key'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "list" -d 'List all users, their keys masked'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "forbid" -d 'Stop a user\'s key at once'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "allow" -d 'Allow a forbidden user\'s key again'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "hash-keys" -d 'Forget all whole keys and keep their hashes, for good'
