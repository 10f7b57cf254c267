
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
            [CompletionResult]::new('generate', 'generate', [CompletionResultType]::ParameterValue, 'Write completions/, man/ and docs/settings.md into a directory')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;serve' {
            [CompletionResult]::new('--openai-backend-url', '--openai-backend-url', [CompletionResultType]::ParameterName, 'URL of the server to forward to')
            [CompletionResult]::new('--openai-base-url', '--openai-base-url', [CompletionResultType]::ParameterName, 'URL of the server to forward to, as SDKs write it')
            [CompletionResult]::new('--openai-api-key', '--openai-api-key', [CompletionResultType]::ParameterName, 'Key for the backend (required; empty for a backend without keys)')
            [CompletionResult]::new('--openai-org-id', '--openai-org-id', [CompletionResultType]::ParameterName, 'Organization to send to the backend as OpenAI-Organization')
            [CompletionResult]::new('--openai-project-id', '--openai-project-id', [CompletionResultType]::ParameterName, 'Project to send to the backend as OpenAI-Project')
            [CompletionResult]::new('--backend-connect-timeout', '--backend-connect-timeout', [CompletionResultType]::ParameterName, 'Time limit for connecting to the backend')
            [CompletionResult]::new('--backend-idle-timeout', '--backend-idle-timeout', [CompletionResultType]::ParameterName, 'Longest silence of the backend during a request')
            [CompletionResult]::new('--stream-usage', '--stream-usage', [CompletionResultType]::ParameterName, 'Whether to ask the backend for the usage of streams: ask, leave')
            [CompletionResult]::new('--stateful-endpoints', '--stateful-endpoints', [CompletionResultType]::ParameterName, 'Whether users may store files, responses, batches and the like: private, off')
            [CompletionResult]::new('--reconcile-interval', '--reconcile-interval', [CompletionResultType]::ParameterName, 'Interval at which finished batches and background responses are looked for')
            [CompletionResult]::new('--extra-endpoints', '--extra-endpoints', [CompletionResultType]::ParameterName, 'Further paths of the backend to serve')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'Address to listen on')
            [CompletionResult]::new('--port', '--port', [CompletionResultType]::ParameterName, 'Port to listen on')
            [CompletionResult]::new('--max-concurrent-requests', '--max-concurrent-requests', [CompletionResultType]::ParameterName, 'Number of requests that the backend may have at once')
            [CompletionResult]::new('--queue-timeout', '--queue-timeout', [CompletionResultType]::ParameterName, 'Longest wait in line before a request gets 503')
            [CompletionResult]::new('--max-body-size', '--max-body-size', [CompletionResultType]::ParameterName, 'Largest request body')
            [CompletionResult]::new('--client-header-timeout', '--client-header-timeout', [CompletionResultType]::ParameterName, 'Time limit for a client to send the head of a request')
            [CompletionResult]::new('--shutdown-grace', '--shutdown-grace', [CompletionResultType]::ParameterName, 'Time that answers have to finish after SIGTERM')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--ledger-sync', '--ledger-sync', [CompletionResultType]::ParameterName, 'When a usage row is safe: normal, full')
            [CompletionResult]::new('--on-ledger-failure', '--on-ledger-failure', [CompletionResultType]::ParameterName, 'What to do while rows cannot be written: refuse, serve')
            [CompletionResult]::new('--admin-token', '--admin-token', [CompletionResultType]::ParameterName, 'Token that opens /admin to every machine')
            [CompletionResult]::new('--admin-allow', '--admin-allow', [CompletionResultType]::ParameterName, 'Networks that may call /admin without a token')
            [CompletionResult]::new('--rust-log', '--rust-log', [CompletionResultType]::ParameterName, 'What to log, as env_logger reads it')
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
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Add a user and print the new key')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List all users with masked keys')
            [CompletionResult]::new('forbid', 'forbid', [CompletionResultType]::ParameterValue, 'Stop a user''s key at once')
            [CompletionResult]::new('allow', 'allow', [CompletionResultType]::ParameterValue, 'Allow a forbidden user''s key again')
            [CompletionResult]::new('hash-keys', 'hash-keys', [CompletionResultType]::ParameterValue, 'Replace all stored keys by their hashes, which cannot be undone')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;user;add' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user;list' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user;forbid' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user;allow' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user;hash-keys' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user;help' {
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Add a user and print the new key')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List all users with masked keys')
            [CompletionResult]::new('forbid', 'forbid', [CompletionResultType]::ParameterValue, 'Stop a user''s key at once')
            [CompletionResult]::new('allow', 'allow', [CompletionResultType]::ParameterValue, 'Allow a forbidden user''s key again')
            [CompletionResult]::new('hash-keys', 'hash-keys', [CompletionResultType]::ParameterValue, 'Replace all stored keys by their hashes, which cannot be undone')
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
            [CompletionResult]::new('--last-hours', '--last-hours', [CompletionResultType]::ParameterName, 'Show only the last N hours, for example 24 or 0.5')
            [CompletionResult]::new('--start-time', '--start-time', [CompletionResultType]::ParameterName, 'Show only requests from this time on')
            [CompletionResult]::new('--end-time', '--end-time', [CompletionResultType]::ParameterName, 'Show only requests up to this time')
            [CompletionResult]::new('--by', '--by', [CompletionResultType]::ParameterName, 'Split the sums by endpoint, model, user or day (UTC); several are separated by commas')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'Show only this user')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--by-model', '--by-model', [CompletionResultType]::ParameterName, 'Print a line for each user and model')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('--csv', '--csv', [CompletionResultType]::ParameterName, 'Print CSV with a header line')
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
            [CompletionResult]::new('generate', 'generate', [CompletionResultType]::ParameterValue, 'Write completions/, man/ and docs/settings.md into a directory')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;help;serve' {
            break
        }
        'llmproxy;help;user' {
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Add a user and print the new key')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List all users with masked keys')
            [CompletionResult]::new('forbid', 'forbid', [CompletionResultType]::ParameterValue, 'Stop a user''s key at once')
            [CompletionResult]::new('allow', 'allow', [CompletionResultType]::ParameterValue, 'Allow a forbidden user''s key again')
            [CompletionResult]::new('hash-keys', 'hash-keys', [CompletionResultType]::ParameterValue, 'Replace all stored keys by their hashes, which cannot be undone')
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
