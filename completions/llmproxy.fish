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
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "user" -d 'Add, list, rename, rotate, forbid and delete users'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "key" -d 'Add, list, change and revoke single keys of users'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "group" -d 'Put users into groups, such as courses or teams'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "costs" -d 'Show who used how many tokens, and what they cost'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "limits" -d 'Show limits and what is left of them'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "audit" -d 'Compare the ledger with all sums that are derived from it'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "top" -d 'Watch who does what, on a terminal'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "log" -d 'List the last requests, also those that were refused'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "explain" -d 'Say everything that is known of a request'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "price" -d 'List, check and set prices of models'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "import" -d 'Bring users, keys and usage over from another program'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "alert" -d 'List alerts, and try whether they arrive'
complete -c llmproxy -n "__fish_llmproxy_needs_command" -f -a "usage" -d 'Show what you have used, with your own key'
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
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l hide-limits -d 'Keep the figures of limits from users' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l max-body-size -d 'Largest request body' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l client-header-timeout -d 'Time limit for a client to send the head of a request' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l shutdown-grace -d 'Time that answers have to finish after SIGTERM' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l ledger-sync -d 'When a usage row is safe: normal, full' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l on-ledger-failure -d 'What to do while rows cannot be written: refuse, serve' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l admin-token -d 'Token that opens /admin to every machine' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l admin-allow -d 'Networks that may call /admin without a token' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l metrics-allow -d 'Networks that may read /metrics without a token' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l metrics-users -d 'Whether /metrics has figures of each user' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l alert-webhook -d 'URLs that alerts are sent to, separated by commas' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l alert-secret -d 'Secret that alerts are signed with' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l rust-log -d 'What to log, as env_logger reads it' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l log-format -d 'Form of the log: text, json' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand serve" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list show set rename delete rotate forbid allow hash-keys help" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list show set rename delete rotate forbid allow hash-keys help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list show set rename delete rotate forbid allow hash-keys help" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list show set rename delete rotate forbid allow hash-keys help" -f -a "add" -d 'Add users and print their new keys'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list show set rename delete rotate forbid allow hash-keys help" -f -a "list" -d 'List users with masked keys'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list show set rename delete rotate forbid allow hash-keys help" -f -a "show" -d 'Show a user with all keys'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list show set rename delete rotate forbid allow hash-keys help" -f -a "set" -d 'Put a user into a group, or out of any; set limits'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list show set rename delete rotate forbid allow hash-keys help" -f -a "rename" -d 'Give a user another name'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list show set rename delete rotate forbid allow hash-keys help" -f -a "delete" -d 'Delete a user for good'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list show set rename delete rotate forbid allow hash-keys help" -f -a "rotate" -d 'Give a user a new key in the place of the old one'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list show set rename delete rotate forbid allow hash-keys help" -f -a "forbid" -d 'Stop all keys of a user at once'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list show set rename delete rotate forbid allow hash-keys help" -f -a "allow" -d 'Allow a forbidden user\'s keys again'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list show set rename delete rotate forbid allow hash-keys help" -f -a "hash-keys" -d 'Replace all stored keys by their hashes, which cannot be undone'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and not __fish_seen_subcommand_from add list show set rename delete rotate forbid allow hash-keys help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l from -d 'Add the users of a CSV file: all or none' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l keys-to -d 'Write the new keys into a new file that only you can read, instead of printing them' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l group -d 'Put the users into this group' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l key -d 'Use this key instead of a random one; `-` reads it from standard input' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l label -d 'Note what the key is for' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l expires -d 'Let the key expire after a time such as 90d, or at a date such as 2027-03-31' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l budget -d 'Limit what may be used in a time, such as 20usd/month, 2Mtokens/day, 500requests/week or 100usd/total; may be given several times' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l requests-per-minute -d 'Limit the requests a minute' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l tokens-per-minute -d 'Limit the tokens a minute, such as 30k' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l concurrent -d 'Limit the requests at the same time' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l models -d 'Allow only these models, such as \'gpt-4.1*,o4-mini\'' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l deny-models -d 'Deny these models, whatever else is allowed' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l max-output-tokens -d 'Limit the output of each answer' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l weight -d 'Share where requests wait for their turn; 2 gets twice as much as 1' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l unpriced -d 'Allow or refuse models without a price under a budget in dollars' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l extra -d 'Raise budgets for a while: 20usd raises each in dollars, 20usd/month only that one' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l until -d 'End of --extra: a time such as 7d, or a date' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l watch -d 'Let the limits of this command refuse nothing: they count and alert'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from add" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l group -d 'Show only users who are in this group' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l inactive -d 'Show only users who cannot use the proxy: forbidden, or without a key that works'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l csv -d 'Print CSV with a header line'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -l table -d 'Print a table with lines around it also in a pipe'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from show" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from show" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from show" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from show" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from show" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from show" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from show" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from show" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l group -d 'Put the user into this group' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l budget -d 'Limit what may be used in a time, such as 20usd/month, 2Mtokens/day, 500requests/week or 100usd/total; may be given several times' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l requests-per-minute -d 'Limit the requests a minute' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l tokens-per-minute -d 'Limit the tokens a minute, such as 30k' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l concurrent -d 'Limit the requests at the same time' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l models -d 'Allow only these models, such as \'gpt-4.1*,o4-mini\'' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l deny-models -d 'Deny these models, whatever else is allowed' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l max-output-tokens -d 'Limit the output of each answer' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l weight -d 'Share where requests wait for their turn; 2 gets twice as much as 1' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l unpriced -d 'Allow or refuse models without a price under a budget in dollars' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l extra -d 'Raise budgets for a while: 20usd raises each in dollars, 20usd/month only that one' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l until -d 'End of --extra: a time such as 7d, or a date' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l no-group -d 'Take the user out of the group'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l watch -d 'Let the limits of this command refuse nothing: they count and alert'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from set" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rename" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rename" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rename" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rename" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rename" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rename" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rename" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rename" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rename" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rename" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from delete" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from delete" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from delete" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from delete" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from delete" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from delete" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from delete" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from delete" -l yes -d 'Do not ask'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from delete" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from delete" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rotate" -l grace -d 'Let the old key work on for a time such as 24h' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rotate" -l key-id -d 'Replace the key with this id; `llmproxy key list NAME` shows ids' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rotate" -l key -d 'Use this key instead of a random one; `-` reads it from standard input' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rotate" -l label -d 'Note what the key is for' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rotate" -l expires -d 'Let the key expire after a time such as 90d, or at a date such as 2027-03-31' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rotate" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rotate" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rotate" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rotate" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rotate" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rotate" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rotate" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rotate" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from rotate" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from forbid" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from allow" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from hash-keys" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "add" -d 'Add users and print their new keys'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "list" -d 'List users with masked keys'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show a user with all keys'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "set" -d 'Put a user into a group, or out of any; set limits'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "rename" -d 'Give a user another name'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "delete" -d 'Delete a user for good'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "rotate" -d 'Give a user a new key in the place of the old one'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "forbid" -d 'Stop all keys of a user at once'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "allow" -d 'Allow a forbidden user\'s keys again'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "hash-keys" -d 'Replace all stored keys by their hashes, which cannot be undone'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand user; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and not __fish_seen_subcommand_from add list set revoke help" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and not __fish_seen_subcommand_from add list set revoke help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and not __fish_seen_subcommand_from add list set revoke help" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and not __fish_seen_subcommand_from add list set revoke help" -f -a "add" -d 'Give a user a further key and print it'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and not __fish_seen_subcommand_from add list set revoke help" -f -a "list" -d 'List keys with their ids, masked'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and not __fish_seen_subcommand_from add list set revoke help" -f -a "set" -d 'Change label or end of a key'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and not __fish_seen_subcommand_from add list set revoke help" -f -a "revoke" -d 'Stop one key for good'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and not __fish_seen_subcommand_from add list set revoke help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from add" -l key -d 'Use this key instead of a random one; `-` reads it from standard input' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from add" -l label -d 'Note what the key is for' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from add" -l expires -d 'Let the key expire after a time such as 90d, or at a date such as 2027-03-31' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from add" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from add" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from add" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from add" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from add" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from add" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from add" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from add" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from add" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from list" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from list" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from list" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from list" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from list" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from list" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from list" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from list" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from list" -l csv -d 'Print CSV with a header line'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from list" -l table -d 'Print a table with lines around it also in a pipe'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from set" -l label -d 'Note what the key is for; an empty text removes the note' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from set" -l expires -d 'Let the key expire after a time such as 90d, or at a date; `never` removes the end' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from set" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from set" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from set" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from set" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from set" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from set" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from set" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from set" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from set" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from revoke" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from revoke" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from revoke" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from revoke" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from revoke" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from revoke" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from revoke" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from revoke" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from revoke" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "add" -d 'Give a user a further key and print it'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "list" -d 'List keys with their ids, masked'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "set" -d 'Change label or end of a key'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "revoke" -d 'Stop one key for good'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and not __fish_seen_subcommand_from add list show set rename delete help" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and not __fish_seen_subcommand_from add list show set rename delete help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and not __fish_seen_subcommand_from add list show set rename delete help" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and not __fish_seen_subcommand_from add list show set rename delete help" -f -a "add" -d 'Make a group'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and not __fish_seen_subcommand_from add list show set rename delete help" -f -a "list" -d 'List all groups with the number of their users'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and not __fish_seen_subcommand_from add list show set rename delete help" -f -a "show" -d 'Show a group with its users'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and not __fish_seen_subcommand_from add list show set rename delete help" -f -a "set" -d 'Take users into a group, or out of it; set limits that they share'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and not __fish_seen_subcommand_from add list show set rename delete help" -f -a "rename" -d 'Give a group another name'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and not __fish_seen_subcommand_from add list show set rename delete help" -f -a "delete" -d 'Delete a group; its users stay'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and not __fish_seen_subcommand_from add list show set rename delete help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from add" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from add" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from add" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from add" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from add" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from add" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from add" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from add" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from add" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from list" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from list" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from list" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from list" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from list" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from list" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from list" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from list" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from list" -l csv -d 'Print CSV with a header line'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from list" -l table -d 'Print a table with lines around it also in a pipe'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from show" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from show" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from show" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from show" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from show" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from show" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from show" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from show" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l add -d 'Take this user into the group; may be given several times' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l remove -d 'Take this user out of the group; may be given several times' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l budget -d 'Limit what may be used in a time, such as 20usd/month, 2Mtokens/day, 500requests/week or 100usd/total; may be given several times' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l requests-per-minute -d 'Limit the requests a minute' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l tokens-per-minute -d 'Limit the tokens a minute, such as 30k' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l concurrent -d 'Limit the requests at the same time' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l models -d 'Allow only these models, such as \'gpt-4.1*,o4-mini\'' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l deny-models -d 'Deny these models, whatever else is allowed' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l max-output-tokens -d 'Limit the output of each answer' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l weight -d 'Share where requests wait for their turn; 2 gets twice as much as 1' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l unpriced -d 'Allow or refuse models without a price under a budget in dollars' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l extra -d 'Raise budgets for a while: 20usd raises each in dollars, 20usd/month only that one' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l until -d 'End of --extra: a time such as 7d, or a date' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l watch -d 'Let the limits of this command refuse nothing: they count and alert'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from set" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from rename" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from rename" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from rename" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from rename" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from rename" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from rename" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from rename" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from rename" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from rename" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from rename" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from delete" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from delete" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from delete" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from delete" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from delete" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from delete" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from delete" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from delete" -l yes -d 'Do not ask'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from delete" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from delete" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from help" -f -a "add" -d 'Make a group'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from help" -f -a "list" -d 'List all groups with the number of their users'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show a group with its users'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from help" -f -a "set" -d 'Take users into a group, or out of it; set limits that they share'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from help" -f -a "rename" -d 'Give a group another name'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from help" -f -a "delete" -d 'Delete a group; its users stay'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand group; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l last-hours -d 'Show only the last N hours, for example 24 or 0.5' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l start-time -d 'Show only requests from this time on' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l end-time -d 'Show only requests up to this time' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l month -d 'Show only this month, or the one that is named' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l since -d 'Show only what came since, for example 7d or 2026-11-01' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l by -d 'Split the sums by endpoint, model, user, group, key, hour, day, week or month' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l user -d 'Show only this user' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l group -d 'Show only users who are in this group now' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l sort -d 'Sort by cost, tokens or requests, the largest first, or by name' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l top -d 'Show only the first N lines' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l today -d 'Show only today'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l yesterday -d 'Show only yesterday'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l by-model -d 'Print a line for each user and model'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l all -d 'List users who used nothing, too'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l csv -d 'Print CSV with a header line'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -l table -d 'Print a table with lines around it also in a pipe'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -f -a "reprice" -d 'Price usage of the past anew, and book the difference'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and not __fish_seen_subcommand_from reprice help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l last-hours -d 'Show only the last N hours, for example 24 or 0.5' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l start-time -d 'Show only requests from this time on' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l end-time -d 'Show only requests up to this time' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l month -d 'Show only this month, or the one that is named' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l since -d 'Show only what came since, for example 7d or 2026-11-01' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l model -d 'Only requests that asked for this model' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l today -d 'Show only today'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l yesterday -d 'Show only yesterday'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l dry-run -d 'Say what would change, and change nothing'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l csv -d 'Print CSV with a header line'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -l table -d 'Print a table with lines around it also in a pipe'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from reprice" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from help" -f -a "reprice" -d 'Price usage of the past anew, and book the difference'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand costs; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and not __fish_seen_subcommand_from set try help" -l group -d 'Show the limits of this group' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and not __fish_seen_subcommand_from set try help" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and not __fish_seen_subcommand_from set try help" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and not __fish_seen_subcommand_from set try help" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and not __fish_seen_subcommand_from set try help" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and not __fish_seen_subcommand_from set try help" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and not __fish_seen_subcommand_from set try help" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and not __fish_seen_subcommand_from set try help" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and not __fish_seen_subcommand_from set try help" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and not __fish_seen_subcommand_from set try help" -l csv -d 'Print CSV with a header line'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and not __fish_seen_subcommand_from set try help" -l table -d 'Print a table with lines around it also in a pipe'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and not __fish_seen_subcommand_from set try help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and not __fish_seen_subcommand_from set try help" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and not __fish_seen_subcommand_from set try help" -a "set" -d 'Set limits of everybody, a group or a user'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and not __fish_seen_subcommand_from set try help" -a "try" -d 'Say what limits would have refused, without setting them'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and not __fish_seen_subcommand_from set try help" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l group -d 'Set limits of this group' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l user -d 'Set limits of this user' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l budget -d 'Limit what may be used in a time, such as 20usd/month, 2Mtokens/day, 500requests/week or 100usd/total; may be given several times' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l requests-per-minute -d 'Limit the requests a minute' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l tokens-per-minute -d 'Limit the tokens a minute, such as 30k' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l concurrent -d 'Limit the requests at the same time' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l models -d 'Allow only these models, such as \'gpt-4.1*,o4-mini\'' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l deny-models -d 'Deny these models, whatever else is allowed' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l max-output-tokens -d 'Limit the output of each answer' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l weight -d 'Share where requests wait for their turn; 2 gets twice as much as 1' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l unpriced -d 'Allow or refuse models without a price under a budget in dollars' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l extra -d 'Raise budgets for a while: 20usd raises each in dollars, 20usd/month only that one' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l until -d 'End of --extra: a time such as 7d, or a date' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l everybody -d 'Set the default of all users'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l watch -d 'Let the limits of this command refuse nothing: they count and alert'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from set" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l group -d 'Try them on this group' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l since -d 'Beginning of the requests: an age such as 7d, or a time' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l budget -d 'Limit what may be used in a time, such as 20usd/month, 2Mtokens/day, 500requests/week or 100usd/total; may be given several times' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l requests-per-minute -d 'Limit the requests a minute' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l tokens-per-minute -d 'Limit the tokens a minute, such as 30k' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l concurrent -d 'Limit the requests at the same time' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l models -d 'Allow only these models, such as \'gpt-4.1*,o4-mini\'' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l deny-models -d 'Deny these models, whatever else is allowed' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l max-output-tokens -d 'Limit the output of each answer' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l weight -d 'Share where requests wait for their turn; 2 gets twice as much as 1' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l unpriced -d 'Allow or refuse models without a price under a budget in dollars' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l extra -d 'Raise budgets for a while: 20usd raises each in dollars, 20usd/month only that one' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l until -d 'End of --extra: a time such as 7d, or a date' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l everybody -d 'Try them as the default of all users'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l watch -d 'Let the limits of this command refuse nothing: they count and alert'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l csv -d 'Print CSV with a header line'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -l table -d 'Print a table with lines around it also in a pipe'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from try" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from help" -f -a "set" -d 'Set limits of everybody, a group or a user'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from help" -f -a "try" -d 'Say what limits would have refused, without setting them'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand limits; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand audit" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand audit" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand audit" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand audit" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand audit" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand audit" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand audit" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand audit" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand audit" -l csv -d 'Print CSV with a header line'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand audit" -l table -d 'Print a table with lines around it also in a pipe'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand audit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand audit" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand top" -l sort -d 'Sort by in_flight, waiting, requests, tokens, first_byte, refused, cost, budget or name' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand top" -l filter -d 'Show only users whose name or group contains this' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand top" -l interval -d 'Time between two looks' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand top" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand top" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand top" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand top" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand top" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand top" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand top" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand top" -l all -d 'Show users too who did nothing today'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand top" -l once -d 'Print the users once, as a list, and end'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand top" -l json -d 'Print the JSON of `GET /admin/live` once, and end'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand top" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand top" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand log" -l user -d 'Show only the requests of this user' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand log" -l status -d 'Show only this status, such as 429 or 4xx' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand log" -l since -d 'Begin at an age such as 1h, or at a time' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand log" -s n -l limit -d 'Show no more than the newest of these' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand log" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand log" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand log" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand log" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand log" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand log" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand log" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand log" -s f -l follow -d 'Go on with new requests as they are booked, until it is interrupted'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand log" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand log" -l csv -d 'Print CSV with a header line'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand log" -l table -d 'Print a table with lines around it also in a pipe'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand log" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand log" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand explain" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand explain" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand explain" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand explain" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand explain" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand explain" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand explain" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand explain" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand explain" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and not __fish_seen_subcommand_from list check set unset fetch-file help" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and not __fish_seen_subcommand_from list check set unset fetch-file help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and not __fish_seen_subcommand_from list check set unset fetch-file help" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and not __fish_seen_subcommand_from list check set unset fetch-file help" -f -a "list" -d 'List prices: of one model with all details, or of all models whose names contain a text'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and not __fish_seen_subcommand_from list check set unset fetch-file help" -f -a "check" -d 'Name the models in the ledger whose requests have no price'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and not __fish_seen_subcommand_from list check set unset fetch-file help" -f -a "set" -d 'Set the price of a model, from now or another time on'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and not __fish_seen_subcommand_from list check set unset fetch-file help" -f -a "unset" -d 'Withdraw the latest price that was set for a model'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and not __fish_seen_subcommand_from list check set unset fetch-file help" -f -a "fetch-file" -d 'Get the newest price file of LiteLLM, for PRICES_FILE'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and not __fish_seen_subcommand_from list check set unset fetch-file help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from list" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from list" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from list" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from list" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from list" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from list" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from list" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from list" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from list" -l csv -d 'Print CSV with a header line'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from list" -l table -d 'Print a table with lines around it also in a pipe'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from check" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from check" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from check" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from check" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from check" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from check" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from check" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from check" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from check" -l csv -d 'Print CSV with a header line'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from check" -l table -d 'Print a table with lines around it also in a pipe'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from set" -l input -d 'Dollars for a million input tokens' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from set" -l cached -d 'Dollars for a million cached input tokens; half of --input if it is not set' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from set" -l output -d 'Dollars for a million output tokens' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from set" -l like -d 'Take the price of another model for what is not given' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from set" -l from -d 'Time from which on the price holds, for example 2026-12-01' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from set" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from set" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from set" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from set" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from set" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from set" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from set" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from set" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from set" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from unset" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from unset" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from unset" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from unset" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from unset" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from unset" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from unset" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from unset" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from unset" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from unset" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from fetch-file" -l from -d 'Where to get it: an https:// or http:// URL, or a local file' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from fetch-file" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from fetch-file" -l yes -d 'Write the file also if it lacks models or changes prices a lot'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from fetch-file" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from fetch-file" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from help" -f -a "list" -d 'List prices: of one model with all details, or of all models whose names contain a text'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from help" -f -a "check" -d 'Name the models in the ledger whose requests have no price'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from help" -f -a "set" -d 'Set the price of a model, from now or another time on'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from help" -f -a "unset" -d 'Withdraw the latest price that was set for a model'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from help" -f -a "fetch-file" -d 'Get the newest price file of LiteLLM, for PRICES_FILE'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand price; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand import" -l format -d 'The program that made the file; it is found from the content otherwise' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand import" -l group -d 'Put all new users into this group, instead of those of the file' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand import" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand import" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand import" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand import" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand import" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand import" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand import" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand import" -l dry-run -d 'Show what would come, and write nothing'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand import" -l json -d 'Print everything that comes, user by user, as JSON'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand import" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and not __fish_seen_subcommand_from list test help" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and not __fish_seen_subcommand_from list test help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and not __fish_seen_subcommand_from list test help" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and not __fish_seen_subcommand_from list test help" -f -a "list" -d 'List alerts, the newest first, and whether the webhooks got them'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and not __fish_seen_subcommand_from list test help" -f -a "test" -d 'Raise a test alert, which a running server sends to its webhooks within seconds'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and not __fish_seen_subcommand_from list test help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from list" -l limit -d 'Show so many alerts, 100 if it is not set' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from list" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from list" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from list" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from list" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from list" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from list" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from list" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from list" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from list" -l csv -d 'Print CSV with a header line'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from list" -l table -d 'Print a table with lines around it also in a pipe'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from test" -l database-url -d 'SQLite file of users and usage' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from test" -l store-keys -d 'What the database keeps of new keys: clear, hashed' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from test" -l time-zone -d 'Time zone in which days, weeks and months begin' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from test" -l prices-file -d 'File of prices that go before those in the program' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from test" -l server -d 'Administer a running server over HTTP instead of the database file' -r
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from test" -l admin-token-file -d 'File that contains the ADMIN_TOKEN of the server' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from test" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from test" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from test" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from help" -f -a "list" -d 'List alerts, the newest first, and whether the webhooks got them'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from help" -f -a "test" -d 'Raise a test alert, which a running server sends to its webhooks within seconds'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand alert; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand usage" -l last-hours -d 'Show only the last N hours, for example 24 or 0.5' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand usage" -l start-time -d 'Show only requests from this time on' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand usage" -l end-time -d 'Show only requests up to this time' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand usage" -l month -d 'Show only this month, or the one that is named' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand usage" -l since -d 'Show only what came since, for example 7d or 2026-11-01' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand usage" -l by -d 'Split by day, model or key, or several of them, separated by commas' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand usage" -l base-url -d 'Address of the proxy, as SDKs take it: http://host:8000/v1' -r -f
complete -c llmproxy -n "__fish_llmproxy_using_subcommand usage" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand usage" -l today -d 'Show only today'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand usage" -l yesterday -d 'Show only yesterday'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand usage" -l json -d 'Print the JSON that the HTTP admin API returns'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand usage" -l csv -d 'Print CSV with a header line'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand usage" -l table -d 'Print a table with lines around it also in a pipe'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand usage" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand usage" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand generate" -l env-file -d 'Read settings from this file instead of `.env` in the working directory' -r -F
complete -c llmproxy -n "__fish_llmproxy_using_subcommand generate" -s h -l help -d 'Print help'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand generate" -s V -l version -d 'Print version'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user key group costs limits audit top log explain price import alert usage generate help" -f -a "serve" -d 'Run the proxy'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user key group costs limits audit top log explain price import alert usage generate help" -f -a "user" -d 'Add, list, rename, rotate, forbid and delete users'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user key group costs limits audit top log explain price import alert usage generate help" -f -a "key" -d 'Add, list, change and revoke single keys of users'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user key group costs limits audit top log explain price import alert usage generate help" -f -a "group" -d 'Put users into groups, such as courses or teams'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user key group costs limits audit top log explain price import alert usage generate help" -f -a "costs" -d 'Show who used how many tokens, and what they cost'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user key group costs limits audit top log explain price import alert usage generate help" -f -a "limits" -d 'Show limits and what is left of them'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user key group costs limits audit top log explain price import alert usage generate help" -f -a "audit" -d 'Compare the ledger with all sums that are derived from it'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user key group costs limits audit top log explain price import alert usage generate help" -f -a "top" -d 'Watch who does what, on a terminal'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user key group costs limits audit top log explain price import alert usage generate help" -f -a "log" -d 'List the last requests, also those that were refused'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user key group costs limits audit top log explain price import alert usage generate help" -f -a "explain" -d 'Say everything that is known of a request'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user key group costs limits audit top log explain price import alert usage generate help" -f -a "price" -d 'List, check and set prices of models'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user key group costs limits audit top log explain price import alert usage generate help" -f -a "import" -d 'Bring users, keys and usage over from another program'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user key group costs limits audit top log explain price import alert usage generate help" -f -a "alert" -d 'List alerts, and try whether they arrive'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user key group costs limits audit top log explain price import alert usage generate help" -f -a "usage" -d 'Show what you have used, with your own key'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user key group costs limits audit top log explain price import alert usage generate help" -f -a "generate" -d 'Write completions/, man/ and docs/settings.md into a directory'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and not __fish_seen_subcommand_from serve user key group costs limits audit top log explain price import alert usage generate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "add" -d 'Add users and print their new keys'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "list" -d 'List users with masked keys'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "show" -d 'Show a user with all keys'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "set" -d 'Put a user into a group, or out of any; set limits'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "rename" -d 'Give a user another name'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "delete" -d 'Delete a user for good'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "rotate" -d 'Give a user a new key in the place of the old one'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "forbid" -d 'Stop all keys of a user at once'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "allow" -d 'Allow a forbidden user\'s keys again'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from user" -f -a "hash-keys" -d 'Replace all stored keys by their hashes, which cannot be undone'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "add" -d 'Give a user a further key and print it'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "list" -d 'List keys with their ids, masked'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "set" -d 'Change label or end of a key'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "revoke" -d 'Stop one key for good'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from group" -f -a "add" -d 'Make a group'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from group" -f -a "list" -d 'List all groups with the number of their users'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from group" -f -a "show" -d 'Show a group with its users'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from group" -f -a "set" -d 'Take users into a group, or out of it; set limits that they share'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from group" -f -a "rename" -d 'Give a group another name'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from group" -f -a "delete" -d 'Delete a group; its users stay'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from costs" -f -a "reprice" -d 'Price usage of the past anew, and book the difference'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from limits" -f -a "set" -d 'Set limits of everybody, a group or a user'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from limits" -f -a "try" -d 'Say what limits would have refused, without setting them'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from price" -f -a "list" -d 'List prices: of one model with all details, or of all models whose names contain a text'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from price" -f -a "check" -d 'Name the models in the ledger whose requests have no price'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from price" -f -a "set" -d 'Set the price of a model, from now or another time on'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from price" -f -a "unset" -d 'Withdraw the latest price that was set for a model'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from price" -f -a "fetch-file" -d 'Get the newest price file of LiteLLM, for PRICES_FILE'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from alert" -f -a "list" -d 'List alerts, the newest first, and whether the webhooks got them'
complete -c llmproxy -n "__fish_llmproxy_using_subcommand help; and __fish_seen_subcommand_from alert" -f -a "test" -d 'Raise a test alert, which a running server sends to its webhooks within seconds'
