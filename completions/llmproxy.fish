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
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "generate" -d 'Write completions/, man/ and docs/settings.md into a directory'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l openai-backend-url -d 'URL of the server to forward to' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l openai-base-url -d 'URL of the server to forward to, as SDKs write it' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l openai-api-key -d 'Key for the backend (required; empty for a backend without keys)' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l openai-org-id -d 'Organization to send to the backend as OpenAI-Organization' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l openai-project-id -d 'Project to send to the backend as OpenAI-Project' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l backend-connect-timeout -d 'Time limit for connecting to the backend' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l backend-idle-timeout -d 'Longest silence of the backend during a request' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l stream-usage -d 'Whether to ask the backend for the usage of streams: ask, leave' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l stateful-endpoints -d 'Whether users may store files, responses, batches and the like: private, off' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l reconcile-interval -d 'Interval at which finished batches and background responses are looked for' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l extra-endpoints -d 'Further paths of the backend to serve' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l host -d 'Address to listen on' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l port -d 'Port to listen on' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l max-concurrent-requests -d 'Number of requests that the backend may have at once' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l queue-timeout -d 'Longest wait in line before a request gets 503' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l max-body-size -d 'Largest request body' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l client-header-timeout -d 'Time limit for a client to send the head of a request' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l shutdown-grace -d 'Time that answers have to finish after SIGTERM' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l ledger-sync -d 'When a usage row is safe: normal, full' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l on-ledger-failure -d 'What to do while rows cannot be written: refuse, serve' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l admin-token -d 'Token that opens /admin to every machine' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l admin-allow -d 'Networks that may call /admin without a token' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l rust-log -d 'What to log, as env_logger reads it' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -f -a "add" -d 'Add a user and print the new key'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -f -a "list" -d 'List all users with masked keys'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -f -a "forbid" -d 'Stop a user\'s key at once'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -f -a "allow" -d 'Allow a forbidden user\'s key again'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -f -a "hash-keys" -d 'Replace all stored keys by their hashes, which cannot be undone'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list forbid allow hash-keys help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "add" -d 'Add a user and print the new key'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "list" -d 'List all users with masked keys'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "forbid" -d 'Stop a user\'s key at once'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "allow" -d 'Allow a forbidden user\'s key again'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "hash-keys" -d 'Replace all stored keys by their hashes, which cannot be undone'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l last-hours -d 'Show only the last N hours, for example 24 or 0.5' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l start-time -d 'Show only requests from this time on' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l end-time -d 'Show only requests up to this time' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l by -d 'Split the sums by endpoint, model, user or day (UTC); several are separated by commas' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l user -d 'Show only this user' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l by-model -d 'Print a line for each user and model'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -l csv -d 'Print CSV with a header line'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand generate" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand generate" -s h -l help -d 'Print help'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand generate" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user costs generate help" -f -a "serve" -d 'Run the proxy'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user costs generate help" -f -a "user" -d 'Add, list, forbid and allow users'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user costs generate help" -f -a "costs" -d 'Show who used how many tokens'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user costs generate help" -f -a "generate" -d 'Write completions/, man/ and docs/settings.md into a directory'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user costs generate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "add" -d 'Add a user and print the new key'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "list" -d 'List all users with masked keys'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "forbid" -d 'Stop a user\'s key at once'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "allow" -d 'Allow a forbidden user\'s key again'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "hash-keys" -d 'Replace all stored keys by their hashes, which cannot be undone'
