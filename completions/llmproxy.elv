
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
            cand generate 'Write completions/ and man/ into a directory'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;serve'= {
            cand --openai-backend-url 'Server to forward to, http or https: the client''s path is appended, /v1 included; a final /v1 here makes no difference. Default, without --openai-base-url: https://api.openai.com'
            cand --openai-base-url 'Instead of --openai-backend-url, with the meaning that SDKs give it: the client''s path is appended, without its /v1'
            cand --openai-api-key 'The backend''s key (required; empty: no Authorization goes to the backend). Flags show in `ps`: prefer the variable or .env'
            cand --openai-org-id 'Sent to the backend as OpenAI-Organization'
            cand --openai-project-id 'Sent to the backend as OpenAI-Project'
            cand --host 'Address to listen on'
            cand --port 'Port to listen on; 0: any free port, the log line says which'
            cand --database-url 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path'
            cand --store-keys 'clear: the database keeps whole keys, `list` shows them again; hashed: only hashes, a key is shown once'
            cand --max-concurrent-requests 'Requests at the backend at once, the rest wait in line; 0: unlimited'
            cand --queue-timeout 'How long a request may wait in line before it gets 503'
            cand --admin-token 'Token that opens /admin from everywhere, as `Authorization: Bearer`. Prefer the variable or .env'
            cand --admin-allow 'Networks that may call /admin without a token, for example 10.0.0.0/8,::1; 0.0.0.0/0,::/0 is everybody'
            cand --ledger-sync 'normal: rows survive a crash of the proxy; full: each commit waits for the disk and survives a power cut'
            cand --on-ledger-failure 'While rows cannot be written: refuse requests, or serve and keep the rows in memory'
            cand --shutdown-grace 'How long answers may finish after SIGTERM'
            cand --client-header-timeout 'How long a client may take to send the head of a request'
            cand --backend-connect-timeout 'How long a connection to the backend may take'
            cand --backend-idle-timeout 'Longest silence of the backend, before its first byte and between two'
            cand --stream-usage 'ask: add `stream_options.include_usage` to streamed requests that lack it; leave: for backends that do not know it'
            cand --extra-endpoints 'Further paths of this backend, such as /v1/rerank,/v1/score,/tokenize; a final * stands for any rest'
            cand --stateful-endpoints 'Files, stored responses, conversations, batches and the like: open to each user''s own, or closed (private, off)'
            cand --settle-interval 'How often finished batches and background responses are looked for that nobody has looked at'
            cand --max-body-size 'Longest request body'
            cand --rust-log 'What is logged, as env_logger reads it: error, warn, info, debug, trace, off'
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
            cand add 'Make a user and print the new key'
            cand list 'List all users, their keys masked'
            cand forbid 'Stop a user''s key at once'
            cand allow 'Allow a forbidden user''s key again'
            cand hash-keys 'Forget all whole keys and keep their hashes, for good'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;user;add'= {
            cand --database-url 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path'
            cand --store-keys 'clear: the database keeps whole keys, `list` shows them again; hashed: only hashes, a key is shown once'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;list'= {
            cand --database-url 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;forbid'= {
            cand --database-url 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;allow'= {
            cand --database-url 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;hash-keys'= {
            cand --database-url 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'llmproxy;user;help'= {
            cand add 'Make a user and print the new key'
            cand list 'List all users, their keys masked'
            cand forbid 'Stop a user''s key at once'
            cand allow 'Allow a forbidden user''s key again'
            cand hash-keys 'Forget all whole keys and keep their hashes, for good'
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
            cand --last-hours 'Only the last N hours, for example 24 or 0.5'
            cand --start-time 'Only from this time on'
            cand --end-time 'Only up to this time'
            cand --by 'Split along these, several separated by commas: endpoint, model, user, day (UTC)'
            cand --user 'Only this user'
            cand --database-url 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path'
            cand --env-file 'Read settings from this file instead of `.env` in the working directory'
            cand --by-model 'A line per user and model'
            cand --json 'Print the JSON that the HTTP admin API returns'
            cand --csv 'Print CSV with a header line; a name that a spreadsheet would take for a formula gets a '' in front'
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
            cand generate 'Write completions/ and man/ into a directory'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'llmproxy;help;serve'= {
        }
        &'llmproxy;help;user'= {
            cand add 'Make a user and print the new key'
            cand list 'List all users, their keys masked'
            cand forbid 'Stop a user''s key at once'
            cand allow 'Allow a forbidden user''s key again'
            cand hash-keys 'Forget all whole keys and keep their hashes, for good'
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
