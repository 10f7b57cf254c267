
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'llmproxy' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'llmproxy'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'llmproxy' {
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Run the proxy')
            [CompletionResult]::new('user', 'user', [CompletionResultType]::ParameterValue, 'Add, list, forbid and allow users')
            [CompletionResult]::new('costs', 'costs', [CompletionResultType]::ParameterValue, 'Show who used how many tokens')
            [CompletionResult]::new('generate', 'generate', [CompletionResultType]::ParameterValue, 'Write completions/ and man/ into a directory')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;serve' {
            [CompletionResult]::new('--openai-backend-url', '--openai-backend-url', [CompletionResultType]::ParameterName, 'Server to forward to, http or https: the client''s path is appended, /v1 included; a final /v1 here makes no difference. Default, without --openai-base-url: https://api.openai.com')
            [CompletionResult]::new('--openai-base-url', '--openai-base-url', [CompletionResultType]::ParameterName, 'Instead of --openai-backend-url, with the meaning that SDKs give it: the client''s path is appended, without its /v1')
            [CompletionResult]::new('--openai-api-key', '--openai-api-key', [CompletionResultType]::ParameterName, 'The backend''s key (required; empty: no Authorization goes to the backend). Flags show in `ps`: prefer the variable or .env')
            [CompletionResult]::new('--openai-org-id', '--openai-org-id', [CompletionResultType]::ParameterName, 'Sent to the backend as OpenAI-Organization')
            [CompletionResult]::new('--openai-project-id', '--openai-project-id', [CompletionResultType]::ParameterName, 'Sent to the backend as OpenAI-Project')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'Address to listen on')
            [CompletionResult]::new('--port', '--port', [CompletionResultType]::ParameterName, 'Port to listen on; 0: any free port, the log line says which')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'clear: the database keeps whole keys, `list` shows them again; hashed: only hashes, a key is shown once')
            [CompletionResult]::new('--max-concurrent-requests', '--max-concurrent-requests', [CompletionResultType]::ParameterName, 'Requests at the backend at once, the rest wait in line; 0: unlimited')
            [CompletionResult]::new('--queue-timeout', '--queue-timeout', [CompletionResultType]::ParameterName, 'How long a request may wait in line before it gets 503')
            [CompletionResult]::new('--admin-token', '--admin-token', [CompletionResultType]::ParameterName, 'Token that opens /admin from everywhere, as `Authorization: Bearer`. Prefer the variable or .env')
            [CompletionResult]::new('--admin-allow', '--admin-allow', [CompletionResultType]::ParameterName, 'Networks that may call /admin without a token, for example 10.0.0.0/8,::1; 0.0.0.0/0,::/0 is everybody')
            [CompletionResult]::new('--ledger-sync', '--ledger-sync', [CompletionResultType]::ParameterName, 'normal: rows survive a crash of the proxy; full: each commit waits for the disk and survives a power cut')
            [CompletionResult]::new('--on-ledger-failure', '--on-ledger-failure', [CompletionResultType]::ParameterName, 'While rows cannot be written: refuse requests, or serve and keep the rows in memory')
            [CompletionResult]::new('--shutdown-grace', '--shutdown-grace', [CompletionResultType]::ParameterName, 'How long answers may finish after SIGTERM')
            [CompletionResult]::new('--client-header-timeout', '--client-header-timeout', [CompletionResultType]::ParameterName, 'How long a client may take to send the head of a request')
            [CompletionResult]::new('--backend-connect-timeout', '--backend-connect-timeout', [CompletionResultType]::ParameterName, 'How long a connection to the backend may take')
            [CompletionResult]::new('--backend-idle-timeout', '--backend-idle-timeout', [CompletionResultType]::ParameterName, 'Longest silence of the backend, before its first byte and between two')
            [CompletionResult]::new('--stream-usage', '--stream-usage', [CompletionResultType]::ParameterName, 'ask: add `stream_options.include_usage` to streamed requests that lack it; leave: for backends that do not know it')
            [CompletionResult]::new('--extra-endpoints', '--extra-endpoints', [CompletionResultType]::ParameterName, 'Further paths of this backend, such as /v1/rerank,/v1/score,/tokenize; a final * stands for any rest')
            [CompletionResult]::new('--stateful-endpoints', '--stateful-endpoints', [CompletionResultType]::ParameterName, 'Files, stored responses, conversations, batches and the like: open to each user''s own, or closed (private, off)')
            [CompletionResult]::new('--settle-interval', '--settle-interval', [CompletionResultType]::ParameterName, 'How often finished batches and background responses are looked for that nobody has looked at')
            [CompletionResult]::new('--max-body-size', '--max-body-size', [CompletionResultType]::ParameterName, 'Longest request body')
            [CompletionResult]::new('--rust-log', '--rust-log', [CompletionResultType]::ParameterName, 'What is logged, as env_logger reads it: error, warn, info, debug, trace, off')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user' {
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Make a user and print the new key')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List all users, their keys masked')
            [CompletionResult]::new('forbid', 'forbid', [CompletionResultType]::ParameterValue, 'Stop a user''s key at once')
            [CompletionResult]::new('allow', 'allow', [CompletionResultType]::ParameterValue, 'Allow a forbidden user''s key again')
            [CompletionResult]::new('hash-keys', 'hash-keys', [CompletionResultType]::ParameterValue, 'Forget all whole keys and keep their hashes, for good')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;user;add' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'clear: the database keeps whole keys, `list` shows them again; hashed: only hashes, a key is shown once')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user;list' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user;forbid' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user;allow' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user;hash-keys' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user;help' {
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Make a user and print the new key')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List all users, their keys masked')
            [CompletionResult]::new('forbid', 'forbid', [CompletionResultType]::ParameterValue, 'Stop a user''s key at once')
            [CompletionResult]::new('allow', 'allow', [CompletionResultType]::ParameterValue, 'Allow a forbidden user''s key again')
            [CompletionResult]::new('hash-keys', 'hash-keys', [CompletionResultType]::ParameterValue, 'Forget all whole keys and keep their hashes, for good')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;user;help;add' {
            break
        }
        'llmproxy;user;help;list' {
            break
        }
        'llmproxy;user;help;forbid' {
            break
        }
        'llmproxy;user;help;allow' {
            break
        }
        'llmproxy;user;help;hash-keys' {
            break
        }
        'llmproxy;user;help;help' {
            break
        }
        'llmproxy;costs' {
            [CompletionResult]::new('--last-hours', '--last-hours', [CompletionResultType]::ParameterName, 'Only the last N hours, for example 24 or 0.5')
            [CompletionResult]::new('--start-time', '--start-time', [CompletionResultType]::ParameterName, 'Only from this time on')
            [CompletionResult]::new('--end-time', '--end-time', [CompletionResultType]::ParameterName, 'Only up to this time')
            [CompletionResult]::new('--by', '--by', [CompletionResultType]::ParameterName, 'Split along these, several separated by commas: endpoint, model, user, day (UTC)')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'Only this user')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--by-model', '--by-model', [CompletionResultType]::ParameterName, 'A line per user and model')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('--csv', '--csv', [CompletionResultType]::ParameterName, 'Print CSV with a header line; a name that a spreadsheet would take for a formula gets a '' in front')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;generate' {
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;help' {
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Run the proxy')
            [CompletionResult]::new('user', 'user', [CompletionResultType]::ParameterValue, 'Add, list, forbid and allow users')
            [CompletionResult]::new('costs', 'costs', [CompletionResultType]::ParameterValue, 'Show who used how many tokens')
            [CompletionResult]::new('generate', 'generate', [CompletionResultType]::ParameterValue, 'Write completions/ and man/ into a directory')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;help;serve' {
            break
        }
        'llmproxy;help;user' {
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Make a user and print the new key')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List all users, their keys masked')
            [CompletionResult]::new('forbid', 'forbid', [CompletionResultType]::ParameterValue, 'Stop a user''s key at once')
            [CompletionResult]::new('allow', 'allow', [CompletionResultType]::ParameterValue, 'Allow a forbidden user''s key again')
            [CompletionResult]::new('hash-keys', 'hash-keys', [CompletionResultType]::ParameterValue, 'Forget all whole keys and keep their hashes, for good')
            break
        }
        'llmproxy;help;user;add' {
            break
        }
        'llmproxy;help;user;list' {
            break
        }
        'llmproxy;help;user;forbid' {
            break
        }
        'llmproxy;help;user;allow' {
            break
        }
        'llmproxy;help;user;hash-keys' {
            break
        }
        'llmproxy;help;costs' {
            break
        }
        'llmproxy;help;generate' {
            break
        }
        'llmproxy;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
