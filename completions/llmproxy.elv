
use builtin;
use str;

set edit:completion:arg-completer[llmproxy] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'llmproxy'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'llmproxy'= {
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand serve 'Run the proxy'
            cand user 'Add, list, rename, rotate, forbid and delete users'
            cand key 'Add, list, change and revoke single keys of users'
            cand group 'Put users into groups, such as courses or teams'
            cand costs 'Show who used how many tokens, and what they cost'
            cand limits 'Show limits and what is left of them'
            cand audit 'Compare the ledger with all sums that are derived from it'
            cand top 'Watch who does what, on a terminal'
            cand log 'List the last requests, also those that were refused'
            cand explain 'Say everything that is known of a request'
            cand price 'List, check and set prices of models'
            cand import 'Bring users, keys and usage over from another program'
            cand alert 'List alerts, and try whether they arrive'
            cand usage 'Show what you have used, with your own key'
            cand generate 'Write completions/, man/ and docs/settings.md into a directory'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;serve'= {
            cand --openai-backend-url 'URL of the server to forward to'
            cand --openai-base-url 'URL of the server to forward to, as SDKs write it'
            cand --openai-api-key 'Key for the backend (required; empty for a backend without keys)'
            cand --openai-org-id 'Organization to send to the backend as OpenAI-Organization'
            cand --openai-project-id 'Project to send to the backend as OpenAI-Project'
            cand --backend-connect-timeout 'Time limit for connecting to the backend'
            cand --backend-idle-timeout 'Longest silence of the backend during a request'
            cand --stream-usage 'Whether to ask the backend for the usage of streams: ask, leave'
            cand --stateful-endpoints 'Whether users may store files, responses, batches and the like: private, off'
            cand --reconcile-interval 'Interval at which finished batches and background responses are looked for'
            cand --extra-endpoints 'Further paths of the backend to serve'
            cand --host 'Address to listen on'
            cand --port 'Port to listen on'
            cand --max-concurrent-requests 'Number of requests that the backend may have at once'
            cand --queue-timeout 'Longest wait in line before a request gets 503'
            cand --hide-limits 'Keep the figures of limits from users'
            cand --max-body-size 'Largest request body'
            cand --client-header-timeout 'Time limit for a client to send the head of a request'
            cand --shutdown-grace 'Time that answers have to finish after SIGTERM'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --ledger-sync 'When a usage row is safe: normal, full'
            cand --on-ledger-failure 'What to do while rows cannot be written: refuse, serve'
            cand --admin-token 'Token that opens /admin to every machine'
            cand --admin-allow 'Networks that may call /admin without a token'
            cand --metrics-allow 'Networks that may read /metrics without a token'
            cand --metrics-users 'Whether /metrics has figures of each user'
            cand --alert-webhook 'URLs that alerts are sent to, separated by commas'
            cand --alert-secret 'Secret that alerts are signed with'
            cand --rust-log 'What to log, as env_logger reads it'
            cand --log-format 'Form of the log: text, json'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user'= {
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand add 'Add users and print their new keys'
            cand list 'List users with masked keys'
            cand show 'Show a user with all keys'
            cand set 'Put a user into a group, or out of any; set limits'
            cand rename 'Give a user another name'
            cand delete 'Delete a user for good'
            cand rotate 'Give a user a new key in the place of the old one'
            cand forbid 'Stop all keys of a user at once'
            cand allow 'Allow a forbidden user''s keys again'
            cand hash-keys 'Replace all stored keys by their hashes, which cannot be undone'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;user;add'= {
            cand --from 'Add the users of a CSV file: all or none'
            cand --keys-to 'Write the new keys into a new file that only you can read, instead of printing them'
            cand --group 'Put the users into this group'
            cand --key 'Use this key instead of a random one; `-` reads it from standard input'
            cand --label 'Note what the key is for'
            cand --expires 'Let the key expire after a time such as 90d, or at a date such as 2027-03-31'
            cand --budget 'Limit what may be used in a time, such as 20usd/month, 2Mtokens/day, 500requests/week or 100usd/total; may be given several times'
            cand --requests-per-minute 'Limit the requests a minute'
            cand --tokens-per-minute 'Limit the tokens a minute, such as 30k'
            cand --concurrent 'Limit the requests at the same time'
            cand --models 'Allow only these models, such as ''gpt-4.1*,o4-mini'''
            cand --deny-models 'Deny these models, whatever else is allowed'
            cand --max-output-tokens 'Limit the output of each answer'
            cand --weight 'Share where requests wait for their turn; 2 gets twice as much as 1'
            cand --unpriced 'Allow or refuse models without a price under a budget in dollars'
            cand --extra 'Raise budgets for a while: 20usd raises each in dollars, 20usd/month only that one'
            cand --until 'End of --extra: a time such as 7d, or a date'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --watch 'Let the limits of this command refuse nothing: they count and alert'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;list'= {
            cand --group 'Show only users who are in this group'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --inactive 'Show only users who cannot use the proxy: forbidden, or without a key that works'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand --csv 'Print CSV with a header line'
            cand --table 'Print a table with lines around it also in a pipe'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;show'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;set'= {
            cand --group 'Put the user into this group'
            cand --budget 'Limit what may be used in a time, such as 20usd/month, 2Mtokens/day, 500requests/week or 100usd/total; may be given several times'
            cand --requests-per-minute 'Limit the requests a minute'
            cand --tokens-per-minute 'Limit the tokens a minute, such as 30k'
            cand --concurrent 'Limit the requests at the same time'
            cand --models 'Allow only these models, such as ''gpt-4.1*,o4-mini'''
            cand --deny-models 'Deny these models, whatever else is allowed'
            cand --max-output-tokens 'Limit the output of each answer'
            cand --weight 'Share where requests wait for their turn; 2 gets twice as much as 1'
            cand --unpriced 'Allow or refuse models without a price under a budget in dollars'
            cand --extra 'Raise budgets for a while: 20usd raises each in dollars, 20usd/month only that one'
            cand --until 'End of --extra: a time such as 7d, or a date'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --no-group 'Take the user out of the group'
            cand --watch 'Let the limits of this command refuse nothing: they count and alert'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;rename'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;delete'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --yes 'Do not ask'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;rotate'= {
            cand --grace 'Let the old key work on for a time such as 24h'
            cand --key-id 'Replace the key with this id; `llmproxy key list NAME` shows ids'
            cand --key 'Use this key instead of a random one; `-` reads it from standard input'
            cand --label 'Note what the key is for'
            cand --expires 'Let the key expire after a time such as 90d, or at a date such as 2027-03-31'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;forbid'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;allow'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;hash-keys'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;help'= {
            cand add 'Add users and print their new keys'
            cand list 'List users with masked keys'
            cand show 'Show a user with all keys'
            cand set 'Put a user into a group, or out of any; set limits'
            cand rename 'Give a user another name'
            cand delete 'Delete a user for good'
            cand rotate 'Give a user a new key in the place of the old one'
            cand forbid 'Stop all keys of a user at once'
            cand allow 'Allow a forbidden user''s keys again'
            cand hash-keys 'Replace all stored keys by their hashes, which cannot be undone'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;user;help;add'= {
        }
        &'llmproxy;user;help;list'= {
        }
        &'llmproxy;user;help;show'= {
        }
        &'llmproxy;user;help;set'= {
        }
        &'llmproxy;user;help;rename'= {
        }
        &'llmproxy;user;help;delete'= {
        }
        &'llmproxy;user;help;rotate'= {
        }
        &'llmproxy;user;help;forbid'= {
        }
        &'llmproxy;user;help;allow'= {
        }
        &'llmproxy;user;help;hash-keys'= {
        }
        &'llmproxy;user;help;help'= {
        }
        &'llmproxy;key'= {
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand add 'Give a user a further key and print it'
            cand list 'List keys with their ids, masked'
            cand set 'Change label or end of a key'
            cand revoke 'Stop one key for good'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;key;add'= {
            cand --key 'Use this key instead of a random one; `-` reads it from standard input'
            cand --label 'Note what the key is for'
            cand --expires 'Let the key expire after a time such as 90d, or at a date such as 2027-03-31'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;key;list'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand --csv 'Print CSV with a header line'
            cand --table 'Print a table with lines around it also in a pipe'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;key;set'= {
            cand --label 'Note what the key is for; an empty text removes the note'
            cand --expires 'Let the key expire after a time such as 90d, or at a date; `never` removes the end'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;key;revoke'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;key;help'= {
            cand add 'Give a user a further key and print it'
            cand list 'List keys with their ids, masked'
            cand set 'Change label or end of a key'
            cand revoke 'Stop one key for good'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;key;help;add'= {
        }
        &'llmproxy;key;help;list'= {
        }
        &'llmproxy;key;help;set'= {
        }
        &'llmproxy;key;help;revoke'= {
        }
        &'llmproxy;key;help;help'= {
        }
        &'llmproxy;group'= {
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand add 'Make a group'
            cand list 'List all groups with the number of their users'
            cand show 'Show a group with its users'
            cand set 'Take users into a group, or out of it; set limits that they share'
            cand rename 'Give a group another name'
            cand delete 'Delete a group; its users stay'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;group;add'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;group;list'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand --csv 'Print CSV with a header line'
            cand --table 'Print a table with lines around it also in a pipe'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;group;show'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;group;set'= {
            cand --add 'Take this user into the group; may be given several times'
            cand --remove 'Take this user out of the group; may be given several times'
            cand --budget 'Limit what may be used in a time, such as 20usd/month, 2Mtokens/day, 500requests/week or 100usd/total; may be given several times'
            cand --requests-per-minute 'Limit the requests a minute'
            cand --tokens-per-minute 'Limit the tokens a minute, such as 30k'
            cand --concurrent 'Limit the requests at the same time'
            cand --models 'Allow only these models, such as ''gpt-4.1*,o4-mini'''
            cand --deny-models 'Deny these models, whatever else is allowed'
            cand --max-output-tokens 'Limit the output of each answer'
            cand --weight 'Share where requests wait for their turn; 2 gets twice as much as 1'
            cand --unpriced 'Allow or refuse models without a price under a budget in dollars'
            cand --extra 'Raise budgets for a while: 20usd raises each in dollars, 20usd/month only that one'
            cand --until 'End of --extra: a time such as 7d, or a date'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --watch 'Let the limits of this command refuse nothing: they count and alert'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;group;rename'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;group;delete'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --yes 'Do not ask'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;group;help'= {
            cand add 'Make a group'
            cand list 'List all groups with the number of their users'
            cand show 'Show a group with its users'
            cand set 'Take users into a group, or out of it; set limits that they share'
            cand rename 'Give a group another name'
            cand delete 'Delete a group; its users stay'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;group;help;add'= {
        }
        &'llmproxy;group;help;list'= {
        }
        &'llmproxy;group;help;show'= {
        }
        &'llmproxy;group;help;set'= {
        }
        &'llmproxy;group;help;rename'= {
        }
        &'llmproxy;group;help;delete'= {
        }
        &'llmproxy;group;help;help'= {
        }
        &'llmproxy;costs'= {
            cand --last-hours 'Show only the last N hours, for example 24 or 0.5'
            cand --start-time 'Show only requests from this time on'
            cand --end-time 'Show only requests up to this time'
            cand --month 'Show only this month, or the one that is named'
            cand --since 'Show only what came since, for example 7d or 2026-11-01'
            cand --by 'Split the sums by endpoint, model, user, group, key, hour, day, week or month'
            cand --user 'Show only this user'
            cand --group 'Show only users who are in this group now'
            cand --sort 'Sort by cost, tokens or requests, the largest first, or by name'
            cand --top 'Show only the first N lines'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --today 'Show only today'
            cand --yesterday 'Show only yesterday'
            cand --by-model 'Print a line for each user and model'
            cand --all 'List users who used nothing, too'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand --csv 'Print CSV with a header line'
            cand --table 'Print a table with lines around it also in a pipe'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand reprice 'Price usage of the past anew, and book the difference'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;costs;reprice'= {
            cand --last-hours 'Show only the last N hours, for example 24 or 0.5'
            cand --start-time 'Show only requests from this time on'
            cand --end-time 'Show only requests up to this time'
            cand --month 'Show only this month, or the one that is named'
            cand --since 'Show only what came since, for example 7d or 2026-11-01'
            cand --model 'Only requests that asked for this model'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --today 'Show only today'
            cand --yesterday 'Show only yesterday'
            cand --dry-run 'Say what would change, and change nothing'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand --csv 'Print CSV with a header line'
            cand --table 'Print a table with lines around it also in a pipe'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;costs;help'= {
            cand reprice 'Price usage of the past anew, and book the difference'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;costs;help;reprice'= {
        }
        &'llmproxy;costs;help;help'= {
        }
        &'llmproxy;limits'= {
            cand --group 'Show the limits of this group'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand --csv 'Print CSV with a header line'
            cand --table 'Print a table with lines around it also in a pipe'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand set 'Set limits of everybody, a group or a user'
            cand try 'Say what limits would have refused, without setting them'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;limits;set'= {
            cand --group 'Set limits of this group'
            cand --user 'Set limits of this user'
            cand --budget 'Limit what may be used in a time, such as 20usd/month, 2Mtokens/day, 500requests/week or 100usd/total; may be given several times'
            cand --requests-per-minute 'Limit the requests a minute'
            cand --tokens-per-minute 'Limit the tokens a minute, such as 30k'
            cand --concurrent 'Limit the requests at the same time'
            cand --models 'Allow only these models, such as ''gpt-4.1*,o4-mini'''
            cand --deny-models 'Deny these models, whatever else is allowed'
            cand --max-output-tokens 'Limit the output of each answer'
            cand --weight 'Share where requests wait for their turn; 2 gets twice as much as 1'
            cand --unpriced 'Allow or refuse models without a price under a budget in dollars'
            cand --extra 'Raise budgets for a while: 20usd raises each in dollars, 20usd/month only that one'
            cand --until 'End of --extra: a time such as 7d, or a date'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --everybody 'Set the default of all users'
            cand --watch 'Let the limits of this command refuse nothing: they count and alert'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;limits;try'= {
            cand --group 'Try them on this group'
            cand --since 'Beginning of the requests: an age such as 7d, or a time'
            cand --budget 'Limit what may be used in a time, such as 20usd/month, 2Mtokens/day, 500requests/week or 100usd/total; may be given several times'
            cand --requests-per-minute 'Limit the requests a minute'
            cand --tokens-per-minute 'Limit the tokens a minute, such as 30k'
            cand --concurrent 'Limit the requests at the same time'
            cand --models 'Allow only these models, such as ''gpt-4.1*,o4-mini'''
            cand --deny-models 'Deny these models, whatever else is allowed'
            cand --max-output-tokens 'Limit the output of each answer'
            cand --weight 'Share where requests wait for their turn; 2 gets twice as much as 1'
            cand --unpriced 'Allow or refuse models without a price under a budget in dollars'
            cand --extra 'Raise budgets for a while: 20usd raises each in dollars, 20usd/month only that one'
            cand --until 'End of --extra: a time such as 7d, or a date'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --everybody 'Try them as the default of all users'
            cand --watch 'Let the limits of this command refuse nothing: they count and alert'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand --csv 'Print CSV with a header line'
            cand --table 'Print a table with lines around it also in a pipe'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;limits;help'= {
            cand set 'Set limits of everybody, a group or a user'
            cand try 'Say what limits would have refused, without setting them'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;limits;help;set'= {
        }
        &'llmproxy;limits;help;try'= {
        }
        &'llmproxy;limits;help;help'= {
        }
        &'llmproxy;audit'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand --csv 'Print CSV with a header line'
            cand --table 'Print a table with lines around it also in a pipe'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;top'= {
            cand --sort 'Sort by in_flight, waiting, requests, tokens, first_byte, refused, cost, budget or name'
            cand --filter 'Show only users whose name or group contains this'
            cand --interval 'Time between two looks'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --all 'Show users too who did nothing today'
            cand --once 'Print the users once, as a list, and end'
            cand --json 'Print the JSON of `GET /admin/live` once, and end'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;log'= {
            cand --user 'Show only the requests of this user'
            cand --status 'Show only this status, such as 429 or 4xx'
            cand --since 'Begin at an age such as 1h, or at a time'
            cand -n 'Show no more than the newest of these'
            cand --limit 'Show no more than the newest of these'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand -f 'Go on with new requests as they are booked, until it is interrupted'
            cand --follow 'Go on with new requests as they are booked, until it is interrupted'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand --csv 'Print CSV with a header line'
            cand --table 'Print a table with lines around it also in a pipe'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;explain'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;price'= {
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand list 'List prices: of one model with all details, or of all models whose names contain a text'
            cand check 'Name the models in the ledger whose requests have no price'
            cand set 'Set the price of a model, from now or another time on'
            cand unset 'Withdraw the latest price that was set for a model'
            cand fetch-file 'Get the newest price file of LiteLLM, for PRICES_FILE'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;price;list'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand --csv 'Print CSV with a header line'
            cand --table 'Print a table with lines around it also in a pipe'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;price;check'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand --csv 'Print CSV with a header line'
            cand --table 'Print a table with lines around it also in a pipe'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;price;set'= {
            cand --input 'Dollars for a million input tokens'
            cand --cached 'Dollars for a million cached input tokens; half of --input if it is not set'
            cand --output 'Dollars for a million output tokens'
            cand --like 'Take the price of another model for what is not given'
            cand --from 'Time from which on the price holds, for example 2026-12-01'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;price;unset'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;price;fetch-file'= {
            cand --from 'Where to get it: an https:// or http:// URL, or a local file'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --yes 'Write the file also if it lacks models or changes prices a lot'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;price;help'= {
            cand list 'List prices: of one model with all details, or of all models whose names contain a text'
            cand check 'Name the models in the ledger whose requests have no price'
            cand set 'Set the price of a model, from now or another time on'
            cand unset 'Withdraw the latest price that was set for a model'
            cand fetch-file 'Get the newest price file of LiteLLM, for PRICES_FILE'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;price;help;list'= {
        }
        &'llmproxy;price;help;check'= {
        }
        &'llmproxy;price;help;set'= {
        }
        &'llmproxy;price;help;unset'= {
        }
        &'llmproxy;price;help;fetch-file'= {
        }
        &'llmproxy;price;help;help'= {
        }
        &'llmproxy;import'= {
            cand --format 'The program that made the file; it is found from the content otherwise'
            cand --group 'Put all new users into this group, instead of those of the file'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --dry-run 'Show what would come, and write nothing'
            cand --json 'Print everything that comes, user by user, as JSON'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;alert'= {
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand list 'List alerts, the newest first, and whether the webhooks got them'
            cand test 'Raise a test alert, which a running server sends to its webhooks within seconds'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;alert;list'= {
            cand --limit 'Show so many alerts, 100 if it is not set'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand --csv 'Print CSV with a header line'
            cand --table 'Print a table with lines around it also in a pipe'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;alert;test'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --time-zone 'Time zone in which days, weeks and months begin'
            cand --prices-file 'File of prices that go before those in the program'
            cand --server 'Administer a running server over HTTP instead of the database file'
            cand --admin-token-file 'File that contains the ADMIN_TOKEN of the server'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;alert;help'= {
            cand list 'List alerts, the newest first, and whether the webhooks got them'
            cand test 'Raise a test alert, which a running server sends to its webhooks within seconds'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;alert;help;list'= {
        }
        &'llmproxy;alert;help;test'= {
        }
        &'llmproxy;alert;help;help'= {
        }
        &'llmproxy;usage'= {
            cand --last-hours 'Show only the last N hours, for example 24 or 0.5'
            cand --start-time 'Show only requests from this time on'
            cand --end-time 'Show only requests up to this time'
            cand --month 'Show only this month, or the one that is named'
            cand --since 'Show only what came since, for example 7d or 2026-11-01'
            cand --by 'Split by day, model or key, or several of them, separated by commas'
            cand --base-url 'Address of the proxy, as SDKs take it: http://host:8000/v1'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --today 'Show only today'
            cand --yesterday 'Show only yesterday'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand --csv 'Print CSV with a header line'
            cand --table 'Print a table with lines around it also in a pipe'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;generate'= {
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;help'= {
            cand serve 'Run the proxy'
            cand user 'Add, list, rename, rotate, forbid and delete users'
            cand key 'Add, list, change and revoke single keys of users'
            cand group 'Put users into groups, such as courses or teams'
            cand costs 'Show who used how many tokens, and what they cost'
            cand limits 'Show limits and what is left of them'
            cand audit 'Compare the ledger with all sums that are derived from it'
            cand top 'Watch who does what, on a terminal'
            cand log 'List the last requests, also those that were refused'
            cand explain 'Say everything that is known of a request'
            cand price 'List, check and set prices of models'
            cand import 'Bring users, keys and usage over from another program'
            cand alert 'List alerts, and try whether they arrive'
            cand usage 'Show what you have used, with your own key'
            cand generate 'Write completions/, man/ and docs/settings.md into a directory'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;help;serve'= {
        }
        &'llmproxy;help;user'= {
            cand add 'Add users and print their new keys'
            cand list 'List users with masked keys'
            cand show 'Show a user with all keys'
            cand set 'Put a user into a group, or out of any; set limits'
            cand rename 'Give a user another name'
            cand delete 'Delete a user for good'
            cand rotate 'Give a user a new key in the place of the old one'
            cand forbid 'Stop all keys of a user at once'
            cand allow 'Allow a forbidden user''s keys again'
            cand hash-keys 'Replace all stored keys by their hashes, which cannot be undone'
        }
        &'llmproxy;help;user;add'= {
        }
        &'llmproxy;help;user;list'= {
        }
        &'llmproxy;help;user;show'= {
        }
        &'llmproxy;help;user;set'= {
        }
        &'llmproxy;help;user;rename'= {
        }
        &'llmproxy;help;user;delete'= {
        }
        &'llmproxy;help;user;rotate'= {
        }
        &'llmproxy;help;user;forbid'= {
        }
        &'llmproxy;help;user;allow'= {
        }
        &'llmproxy;help;user;hash-keys'= {
        }
        &'llmproxy;help;key'= {
            cand add 'Give a user a further key and print it'
            cand list 'List keys with their ids, masked'
            cand set 'Change label or end of a key'
            cand revoke 'Stop one key for good'
        }
        &'llmproxy;help;key;add'= {
        }
        &'llmproxy;help;key;list'= {
        }
        &'llmproxy;help;key;set'= {
        }
        &'llmproxy;help;key;revoke'= {
        }
        &'llmproxy;help;group'= {
            cand add 'Make a group'
            cand list 'List all groups with the number of their users'
            cand show 'Show a group with its users'
            cand set 'Take users into a group, or out of it; set limits that they share'
            cand rename 'Give a group another name'
            cand delete 'Delete a group; its users stay'
        }
        &'llmproxy;help;group;add'= {
        }
        &'llmproxy;help;group;list'= {
        }
        &'llmproxy;help;group;show'= {
        }
        &'llmproxy;help;group;set'= {
        }
        &'llmproxy;help;group;rename'= {
        }
        &'llmproxy;help;group;delete'= {
        }
        &'llmproxy;help;costs'= {
            cand reprice 'Price usage of the past anew, and book the difference'
        }
        &'llmproxy;help;costs;reprice'= {
        }
        &'llmproxy;help;limits'= {
            cand set 'Set limits of everybody, a group or a user'
            cand try 'Say what limits would have refused, without setting them'
        }
        &'llmproxy;help;limits;set'= {
        }
        &'llmproxy;help;limits;try'= {
        }
        &'llmproxy;help;audit'= {
        }
        &'llmproxy;help;top'= {
        }
        &'llmproxy;help;log'= {
        }
        &'llmproxy;help;explain'= {
        }
        &'llmproxy;help;price'= {
            cand list 'List prices: of one model with all details, or of all models whose names contain a text'
            cand check 'Name the models in the ledger whose requests have no price'
            cand set 'Set the price of a model, from now or another time on'
            cand unset 'Withdraw the latest price that was set for a model'
            cand fetch-file 'Get the newest price file of LiteLLM, for PRICES_FILE'
        }
        &'llmproxy;help;price;list'= {
        }
        &'llmproxy;help;price;check'= {
        }
        &'llmproxy;help;price;set'= {
        }
        &'llmproxy;help;price;unset'= {
        }
        &'llmproxy;help;price;fetch-file'= {
        }
        &'llmproxy;help;import'= {
        }
        &'llmproxy;help;alert'= {
            cand list 'List alerts, the newest first, and whether the webhooks got them'
            cand test 'Raise a test alert, which a running server sends to its webhooks within seconds'
        }
        &'llmproxy;help;alert;list'= {
        }
        &'llmproxy;help;alert;test'= {
        }
        &'llmproxy;help;usage'= {
        }
        &'llmproxy;help;generate'= {
        }
        &'llmproxy;help;help'= {
        }
    ]
    $completions[$command]
}
