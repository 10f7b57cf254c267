
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
            cand user 'Add, list, forbid and allow users'
            cand costs 'Show who used how many tokens'
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
            cand --max-body-size 'Largest request body'
            cand --client-header-timeout 'Time limit for a client to send the head of a request'
            cand --shutdown-grace 'Time that answers have to finish after SIGTERM'
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --ledger-sync 'When a usage row is safe: normal, full'
            cand --on-ledger-failure 'What to do while rows cannot be written: refuse, serve'
            cand --admin-token 'Token that opens /admin to every machine'
            cand --admin-allow 'Networks that may call /admin without a token'
            cand --rust-log 'What to log, as env_logger reads it'
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
            cand add 'Add a user and print the new key'
            cand list 'List all users with masked keys'
            cand forbid 'Stop a user''s key at once'
            cand allow 'Allow a forbidden user''s key again'
            cand hash-keys 'Replace all stored keys by their hashes, which cannot be undone'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;user;add'= {
            cand --database-url 'SQLite file of users and usage'
            cand --store-keys 'What the database keeps of new keys: clear, hashed'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;list'= {
            cand --database-url 'SQLite file of users and usage'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;forbid'= {
            cand --database-url 'SQLite file of users and usage'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;allow'= {
            cand --database-url 'SQLite file of users and usage'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;hash-keys'= {
            cand --database-url 'SQLite file of users and usage'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;help'= {
            cand add 'Add a user and print the new key'
            cand list 'List all users with masked keys'
            cand forbid 'Stop a user''s key at once'
            cand allow 'Allow a forbidden user''s key again'
            cand hash-keys 'Replace all stored keys by their hashes, which cannot be undone'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;user;help;add'= {
        }
        &'llmproxy;user;help;list'= {
        }
        &'llmproxy;user;help;forbid'= {
        }
        &'llmproxy;user;help;allow'= {
        }
        &'llmproxy;user;help;hash-keys'= {
        }
        &'llmproxy;user;help;help'= {
        }
        &'llmproxy;costs'= {
            cand --last-hours 'Show only the last N hours, for example 24 or 0.5'
            cand --start-time 'Show only requests from this time on'
            cand --end-time 'Show only requests up to this time'
            cand --by 'Split the sums by endpoint, model, user or day (UTC); several are separated by commas'
            cand --user 'Show only this user'
            cand --database-url 'SQLite file of users and usage'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --by-model 'Print a line for each user and model'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand --csv 'Print CSV with a header line'
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
            cand user 'Add, list, forbid and allow users'
            cand costs 'Show who used how many tokens'
            cand generate 'Write completions/, man/ and docs/settings.md into a directory'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;help;serve'= {
        }
        &'llmproxy;help;user'= {
            cand add 'Add a user and print the new key'
            cand list 'List all users with masked keys'
            cand forbid 'Stop a user''s key at once'
            cand allow 'Allow a forbidden user''s key again'
            cand hash-keys 'Replace all stored keys by their hashes, which cannot be undone'
        }
        &'llmproxy;help;user;add'= {
        }
        &'llmproxy;help;user;list'= {
        }
        &'llmproxy;help;user;forbid'= {
        }
        &'llmproxy;help;user;allow'= {
        }
        &'llmproxy;help;user;hash-keys'= {
        }
        &'llmproxy;help;costs'= {
        }
        &'llmproxy;help;generate'= {
        }
        &'llmproxy;help;help'= {
        }
    ]
    $completions[$command]
}
