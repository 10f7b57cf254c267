
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
            [CompletionResult]::new('user', 'user', [CompletionResultType]::ParameterValue, 'Add, list, rename, rotate, forbid and delete users')
            [CompletionResult]::new('key', 'key', [CompletionResultType]::ParameterValue, 'Add, list, change and revoke single keys of users')
            [CompletionResult]::new('group', 'group', [CompletionResultType]::ParameterValue, 'Put users into groups, such as courses or teams')
            [CompletionResult]::new('costs', 'costs', [CompletionResultType]::ParameterValue, 'Show who used how many tokens, and what they cost')
            [CompletionResult]::new('limits', 'limits', [CompletionResultType]::ParameterValue, 'Show limits and what is left of them')
            [CompletionResult]::new('audit', 'audit', [CompletionResultType]::ParameterValue, 'Compare the ledger with all sums that are derived from it')
            [CompletionResult]::new('top', 'top', [CompletionResultType]::ParameterValue, 'Watch who does what, on a terminal')
            [CompletionResult]::new('log', 'log', [CompletionResultType]::ParameterValue, 'List the last requests, also those that were refused')
            [CompletionResult]::new('explain', 'explain', [CompletionResultType]::ParameterValue, 'Say everything that is known of a request')
            [CompletionResult]::new('price', 'price', [CompletionResultType]::ParameterValue, 'List, check and set prices of models')
            [CompletionResult]::new('import', 'import', [CompletionResultType]::ParameterValue, 'Bring users, keys and usage over from another program')
            [CompletionResult]::new('alert', 'alert', [CompletionResultType]::ParameterValue, 'List alerts, and try whether they arrive')
            [CompletionResult]::new('usage', 'usage', [CompletionResultType]::ParameterValue, 'Show what you have used, with your own key')
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
            [CompletionResult]::new('--hide-limits', '--hide-limits', [CompletionResultType]::ParameterName, 'Keep the figures of limits from users')
            [CompletionResult]::new('--max-body-size', '--max-body-size', [CompletionResultType]::ParameterName, 'Largest request body')
            [CompletionResult]::new('--client-header-timeout', '--client-header-timeout', [CompletionResultType]::ParameterName, 'Time limit for a client to send the head of a request')
            [CompletionResult]::new('--shutdown-grace', '--shutdown-grace', [CompletionResultType]::ParameterName, 'Time that answers have to finish after SIGTERM')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--ledger-sync', '--ledger-sync', [CompletionResultType]::ParameterName, 'When a usage row is safe: normal, full')
            [CompletionResult]::new('--on-ledger-failure', '--on-ledger-failure', [CompletionResultType]::ParameterName, 'What to do while rows cannot be written: refuse, serve')
            [CompletionResult]::new('--admin-token', '--admin-token', [CompletionResultType]::ParameterName, 'Token that opens /admin to every machine')
            [CompletionResult]::new('--admin-allow', '--admin-allow', [CompletionResultType]::ParameterName, 'Networks that may call /admin without a token')
            [CompletionResult]::new('--metrics-allow', '--metrics-allow', [CompletionResultType]::ParameterName, 'Networks that may read /metrics without a token')
            [CompletionResult]::new('--metrics-users', '--metrics-users', [CompletionResultType]::ParameterName, 'Whether /metrics has figures of each user')
            [CompletionResult]::new('--alert-webhook', '--alert-webhook', [CompletionResultType]::ParameterName, 'URLs that alerts are sent to, separated by commas')
            [CompletionResult]::new('--alert-secret', '--alert-secret', [CompletionResultType]::ParameterName, 'Secret that alerts are signed with')
            [CompletionResult]::new('--rust-log', '--rust-log', [CompletionResultType]::ParameterName, 'What to log, as env_logger reads it')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Form of the log: text, json')
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
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Add users and print their new keys')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List users with masked keys')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show a user with all keys')
            [CompletionResult]::new('set', 'set', [CompletionResultType]::ParameterValue, 'Put a user into a group, or out of any; set limits')
            [CompletionResult]::new('rename', 'rename', [CompletionResultType]::ParameterValue, 'Give a user another name')
            [CompletionResult]::new('delete', 'delete', [CompletionResultType]::ParameterValue, 'Delete a user for good')
            [CompletionResult]::new('rotate', 'rotate', [CompletionResultType]::ParameterValue, 'Give a user a new key in the place of the old one')
            [CompletionResult]::new('forbid', 'forbid', [CompletionResultType]::ParameterValue, 'Stop all keys of a user at once')
            [CompletionResult]::new('allow', 'allow', [CompletionResultType]::ParameterValue, 'Allow a forbidden user''s keys again')
            [CompletionResult]::new('hash-keys', 'hash-keys', [CompletionResultType]::ParameterValue, 'Replace all stored keys by their hashes, which cannot be undone')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;user;add' {
            [CompletionResult]::new('--from', '--from', [CompletionResultType]::ParameterName, 'Add the users of a CSV file: all or none')
            [CompletionResult]::new('--keys-to', '--keys-to', [CompletionResultType]::ParameterName, 'Write the new keys into a new file that only you can read, instead of printing them')
            [CompletionResult]::new('--group', '--group', [CompletionResultType]::ParameterName, 'Put the users into this group')
            [CompletionResult]::new('--key', '--key', [CompletionResultType]::ParameterName, 'Use this key instead of a random one; `-` reads it from standard input')
            [CompletionResult]::new('--label', '--label', [CompletionResultType]::ParameterName, 'Note what the key is for')
            [CompletionResult]::new('--expires', '--expires', [CompletionResultType]::ParameterName, 'Let the key expire after a time such as 90d, or at a date such as 2027-03-31')
            [CompletionResult]::new('--budget', '--budget', [CompletionResultType]::ParameterName, 'Limit what may be used in a time, such as 20usd/month, 2Mtokens/day, 500requests/week or 100usd/total; may be given several times')
            [CompletionResult]::new('--requests-per-minute', '--requests-per-minute', [CompletionResultType]::ParameterName, 'Limit the requests a minute')
            [CompletionResult]::new('--tokens-per-minute', '--tokens-per-minute', [CompletionResultType]::ParameterName, 'Limit the tokens a minute, such as 30k')
            [CompletionResult]::new('--concurrent', '--concurrent', [CompletionResultType]::ParameterName, 'Limit the requests at the same time')
            [CompletionResult]::new('--models', '--models', [CompletionResultType]::ParameterName, 'Allow only these models, such as ''gpt-4.1*,o4-mini''')
            [CompletionResult]::new('--deny-models', '--deny-models', [CompletionResultType]::ParameterName, 'Deny these models, whatever else is allowed')
            [CompletionResult]::new('--max-output-tokens', '--max-output-tokens', [CompletionResultType]::ParameterName, 'Limit the output of each answer')
            [CompletionResult]::new('--weight', '--weight', [CompletionResultType]::ParameterName, 'Share where requests wait for their turn; 2 gets twice as much as 1')
            [CompletionResult]::new('--unpriced', '--unpriced', [CompletionResultType]::ParameterName, 'Allow or refuse models without a price under a budget in dollars')
            [CompletionResult]::new('--extra', '--extra', [CompletionResultType]::ParameterName, 'Raise budgets for a while: 20usd raises each in dollars, 20usd/month only that one')
            [CompletionResult]::new('--until', '--until', [CompletionResultType]::ParameterName, 'End of --extra: a time such as 7d, or a date')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--watch', '--watch', [CompletionResultType]::ParameterName, 'Let the limits of this command refuse nothing: they count and alert')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user;list' {
            [CompletionResult]::new('--group', '--group', [CompletionResultType]::ParameterName, 'Show only users who are in this group')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--inactive', '--inactive', [CompletionResultType]::ParameterName, 'Show only users who cannot use the proxy: forbidden, or without a key that works')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('--csv', '--csv', [CompletionResultType]::ParameterName, 'Print CSV with a header line')
            [CompletionResult]::new('--table', '--table', [CompletionResultType]::ParameterName, 'Print a table with lines around it also in a pipe')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user;show' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user;set' {
            [CompletionResult]::new('--group', '--group', [CompletionResultType]::ParameterName, 'Put the user into this group')
            [CompletionResult]::new('--budget', '--budget', [CompletionResultType]::ParameterName, 'Limit what may be used in a time, such as 20usd/month, 2Mtokens/day, 500requests/week or 100usd/total; may be given several times')
            [CompletionResult]::new('--requests-per-minute', '--requests-per-minute', [CompletionResultType]::ParameterName, 'Limit the requests a minute')
            [CompletionResult]::new('--tokens-per-minute', '--tokens-per-minute', [CompletionResultType]::ParameterName, 'Limit the tokens a minute, such as 30k')
            [CompletionResult]::new('--concurrent', '--concurrent', [CompletionResultType]::ParameterName, 'Limit the requests at the same time')
            [CompletionResult]::new('--models', '--models', [CompletionResultType]::ParameterName, 'Allow only these models, such as ''gpt-4.1*,o4-mini''')
            [CompletionResult]::new('--deny-models', '--deny-models', [CompletionResultType]::ParameterName, 'Deny these models, whatever else is allowed')
            [CompletionResult]::new('--max-output-tokens', '--max-output-tokens', [CompletionResultType]::ParameterName, 'Limit the output of each answer')
            [CompletionResult]::new('--weight', '--weight', [CompletionResultType]::ParameterName, 'Share where requests wait for their turn; 2 gets twice as much as 1')
            [CompletionResult]::new('--unpriced', '--unpriced', [CompletionResultType]::ParameterName, 'Allow or refuse models without a price under a budget in dollars')
            [CompletionResult]::new('--extra', '--extra', [CompletionResultType]::ParameterName, 'Raise budgets for a while: 20usd raises each in dollars, 20usd/month only that one')
            [CompletionResult]::new('--until', '--until', [CompletionResultType]::ParameterName, 'End of --extra: a time such as 7d, or a date')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--no-group', '--no-group', [CompletionResultType]::ParameterName, 'Take the user out of the group')
            [CompletionResult]::new('--watch', '--watch', [CompletionResultType]::ParameterName, 'Let the limits of this command refuse nothing: they count and alert')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user;rename' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user;delete' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Do not ask')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user;rotate' {
            [CompletionResult]::new('--grace', '--grace', [CompletionResultType]::ParameterName, 'Let the old key work on for a time such as 24h')
            [CompletionResult]::new('--key-id', '--key-id', [CompletionResultType]::ParameterName, 'Replace the key with this id; `llmproxy key list NAME` shows ids')
            [CompletionResult]::new('--key', '--key', [CompletionResultType]::ParameterName, 'Use this key instead of a random one; `-` reads it from standard input')
            [CompletionResult]::new('--label', '--label', [CompletionResultType]::ParameterName, 'Note what the key is for')
            [CompletionResult]::new('--expires', '--expires', [CompletionResultType]::ParameterName, 'Let the key expire after a time such as 90d, or at a date such as 2027-03-31')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
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
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
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
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
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
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;user;help' {
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Add users and print their new keys')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List users with masked keys')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show a user with all keys')
            [CompletionResult]::new('set', 'set', [CompletionResultType]::ParameterValue, 'Put a user into a group, or out of any; set limits')
            [CompletionResult]::new('rename', 'rename', [CompletionResultType]::ParameterValue, 'Give a user another name')
            [CompletionResult]::new('delete', 'delete', [CompletionResultType]::ParameterValue, 'Delete a user for good')
            [CompletionResult]::new('rotate', 'rotate', [CompletionResultType]::ParameterValue, 'Give a user a new key in the place of the old one')
            [CompletionResult]::new('forbid', 'forbid', [CompletionResultType]::ParameterValue, 'Stop all keys of a user at once')
            [CompletionResult]::new('allow', 'allow', [CompletionResultType]::ParameterValue, 'Allow a forbidden user''s keys again')
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
        'llmproxy;user;help;show' {
            break
        }
        'llmproxy;user;help;set' {
            break
        }
        'llmproxy;user;help;rename' {
            break
        }
        'llmproxy;user;help;delete' {
            break
        }
        'llmproxy;user;help;rotate' {
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
        'llmproxy;key' {
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Give a user a further key and print it')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List keys with their ids, masked')
            [CompletionResult]::new('set', 'set', [CompletionResultType]::ParameterValue, 'Change label or end of a key')
            [CompletionResult]::new('revoke', 'revoke', [CompletionResultType]::ParameterValue, 'Stop one key for good')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;key;add' {
            [CompletionResult]::new('--key', '--key', [CompletionResultType]::ParameterName, 'Use this key instead of a random one; `-` reads it from standard input')
            [CompletionResult]::new('--label', '--label', [CompletionResultType]::ParameterName, 'Note what the key is for')
            [CompletionResult]::new('--expires', '--expires', [CompletionResultType]::ParameterName, 'Let the key expire after a time such as 90d, or at a date such as 2027-03-31')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;key;list' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('--csv', '--csv', [CompletionResultType]::ParameterName, 'Print CSV with a header line')
            [CompletionResult]::new('--table', '--table', [CompletionResultType]::ParameterName, 'Print a table with lines around it also in a pipe')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;key;set' {
            [CompletionResult]::new('--label', '--label', [CompletionResultType]::ParameterName, 'Note what the key is for; an empty text removes the note')
            [CompletionResult]::new('--expires', '--expires', [CompletionResultType]::ParameterName, 'Let the key expire after a time such as 90d, or at a date; `never` removes the end')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;key;revoke' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;key;help' {
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Give a user a further key and print it')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List keys with their ids, masked')
            [CompletionResult]::new('set', 'set', [CompletionResultType]::ParameterValue, 'Change label or end of a key')
            [CompletionResult]::new('revoke', 'revoke', [CompletionResultType]::ParameterValue, 'Stop one key for good')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;key;help;add' {
            break
        }
        'llmproxy;key;help;list' {
            break
        }
        'llmproxy;key;help;set' {
            break
        }
        'llmproxy;key;help;revoke' {
            break
        }
        'llmproxy;key;help;help' {
            break
        }
        'llmproxy;group' {
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Make a group')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List all groups with the number of their users')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show a group with its users')
            [CompletionResult]::new('set', 'set', [CompletionResultType]::ParameterValue, 'Take users into a group, or out of it; set limits that they share')
            [CompletionResult]::new('rename', 'rename', [CompletionResultType]::ParameterValue, 'Give a group another name')
            [CompletionResult]::new('delete', 'delete', [CompletionResultType]::ParameterValue, 'Delete a group; its users stay')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;group;add' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;group;list' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('--csv', '--csv', [CompletionResultType]::ParameterName, 'Print CSV with a header line')
            [CompletionResult]::new('--table', '--table', [CompletionResultType]::ParameterName, 'Print a table with lines around it also in a pipe')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;group;show' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;group;set' {
            [CompletionResult]::new('--add', '--add', [CompletionResultType]::ParameterName, 'Take this user into the group; may be given several times')
            [CompletionResult]::new('--remove', '--remove', [CompletionResultType]::ParameterName, 'Take this user out of the group; may be given several times')
            [CompletionResult]::new('--budget', '--budget', [CompletionResultType]::ParameterName, 'Limit what may be used in a time, such as 20usd/month, 2Mtokens/day, 500requests/week or 100usd/total; may be given several times')
            [CompletionResult]::new('--requests-per-minute', '--requests-per-minute', [CompletionResultType]::ParameterName, 'Limit the requests a minute')
            [CompletionResult]::new('--tokens-per-minute', '--tokens-per-minute', [CompletionResultType]::ParameterName, 'Limit the tokens a minute, such as 30k')
            [CompletionResult]::new('--concurrent', '--concurrent', [CompletionResultType]::ParameterName, 'Limit the requests at the same time')
            [CompletionResult]::new('--models', '--models', [CompletionResultType]::ParameterName, 'Allow only these models, such as ''gpt-4.1*,o4-mini''')
            [CompletionResult]::new('--deny-models', '--deny-models', [CompletionResultType]::ParameterName, 'Deny these models, whatever else is allowed')
            [CompletionResult]::new('--max-output-tokens', '--max-output-tokens', [CompletionResultType]::ParameterName, 'Limit the output of each answer')
            [CompletionResult]::new('--weight', '--weight', [CompletionResultType]::ParameterName, 'Share where requests wait for their turn; 2 gets twice as much as 1')
            [CompletionResult]::new('--unpriced', '--unpriced', [CompletionResultType]::ParameterName, 'Allow or refuse models without a price under a budget in dollars')
            [CompletionResult]::new('--extra', '--extra', [CompletionResultType]::ParameterName, 'Raise budgets for a while: 20usd raises each in dollars, 20usd/month only that one')
            [CompletionResult]::new('--until', '--until', [CompletionResultType]::ParameterName, 'End of --extra: a time such as 7d, or a date')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--watch', '--watch', [CompletionResultType]::ParameterName, 'Let the limits of this command refuse nothing: they count and alert')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;group;rename' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;group;delete' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Do not ask')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;group;help' {
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Make a group')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List all groups with the number of their users')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show a group with its users')
            [CompletionResult]::new('set', 'set', [CompletionResultType]::ParameterValue, 'Take users into a group, or out of it; set limits that they share')
            [CompletionResult]::new('rename', 'rename', [CompletionResultType]::ParameterValue, 'Give a group another name')
            [CompletionResult]::new('delete', 'delete', [CompletionResultType]::ParameterValue, 'Delete a group; its users stay')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;group;help;add' {
            break
        }
        'llmproxy;group;help;list' {
            break
        }
        'llmproxy;group;help;show' {
            break
        }
        'llmproxy;group;help;set' {
            break
        }
        'llmproxy;group;help;rename' {
            break
        }
        'llmproxy;group;help;delete' {
            break
        }
        'llmproxy;group;help;help' {
            break
        }
        'llmproxy;costs' {
            [CompletionResult]::new('--last-hours', '--last-hours', [CompletionResultType]::ParameterName, 'Show only the last N hours, for example 24 or 0.5')
            [CompletionResult]::new('--start-time', '--start-time', [CompletionResultType]::ParameterName, 'Show only requests from this time on')
            [CompletionResult]::new('--end-time', '--end-time', [CompletionResultType]::ParameterName, 'Show only requests up to this time')
            [CompletionResult]::new('--month', '--month', [CompletionResultType]::ParameterName, 'Show only this month, or the one that is named')
            [CompletionResult]::new('--since', '--since', [CompletionResultType]::ParameterName, 'Show only what came since, for example 7d or 2026-11-01')
            [CompletionResult]::new('--by', '--by', [CompletionResultType]::ParameterName, 'Split the sums by endpoint, model, user, group, key, hour, day, week or month')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'Show only this user')
            [CompletionResult]::new('--group', '--group', [CompletionResultType]::ParameterName, 'Show only users who are in this group now')
            [CompletionResult]::new('--sort', '--sort', [CompletionResultType]::ParameterName, 'Sort by cost, tokens or requests, the largest first, or by name')
            [CompletionResult]::new('--top', '--top', [CompletionResultType]::ParameterName, 'Show only the first N lines')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--today', '--today', [CompletionResultType]::ParameterName, 'Show only today')
            [CompletionResult]::new('--yesterday', '--yesterday', [CompletionResultType]::ParameterName, 'Show only yesterday')
            [CompletionResult]::new('--by-model', '--by-model', [CompletionResultType]::ParameterName, 'Print a line for each user and model')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'List users who used nothing, too')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('--csv', '--csv', [CompletionResultType]::ParameterName, 'Print CSV with a header line')
            [CompletionResult]::new('--table', '--table', [CompletionResultType]::ParameterName, 'Print a table with lines around it also in a pipe')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('reprice', 'reprice', [CompletionResultType]::ParameterValue, 'Price usage of the past anew, and book the difference')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;costs;reprice' {
            [CompletionResult]::new('--last-hours', '--last-hours', [CompletionResultType]::ParameterName, 'Show only the last N hours, for example 24 or 0.5')
            [CompletionResult]::new('--start-time', '--start-time', [CompletionResultType]::ParameterName, 'Show only requests from this time on')
            [CompletionResult]::new('--end-time', '--end-time', [CompletionResultType]::ParameterName, 'Show only requests up to this time')
            [CompletionResult]::new('--month', '--month', [CompletionResultType]::ParameterName, 'Show only this month, or the one that is named')
            [CompletionResult]::new('--since', '--since', [CompletionResultType]::ParameterName, 'Show only what came since, for example 7d or 2026-11-01')
            [CompletionResult]::new('--model', '--model', [CompletionResultType]::ParameterName, 'Only requests that asked for this model')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--today', '--today', [CompletionResultType]::ParameterName, 'Show only today')
            [CompletionResult]::new('--yesterday', '--yesterday', [CompletionResultType]::ParameterName, 'Show only yesterday')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would change, and change nothing')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('--csv', '--csv', [CompletionResultType]::ParameterName, 'Print CSV with a header line')
            [CompletionResult]::new('--table', '--table', [CompletionResultType]::ParameterName, 'Print a table with lines around it also in a pipe')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;costs;help' {
            [CompletionResult]::new('reprice', 'reprice', [CompletionResultType]::ParameterValue, 'Price usage of the past anew, and book the difference')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;costs;help;reprice' {
            break
        }
        'llmproxy;costs;help;help' {
            break
        }
        'llmproxy;limits' {
            [CompletionResult]::new('--group', '--group', [CompletionResultType]::ParameterName, 'Show the limits of this group')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('--csv', '--csv', [CompletionResultType]::ParameterName, 'Print CSV with a header line')
            [CompletionResult]::new('--table', '--table', [CompletionResultType]::ParameterName, 'Print a table with lines around it also in a pipe')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('set', 'set', [CompletionResultType]::ParameterValue, 'Set limits of everybody, a group or a user')
            [CompletionResult]::new('try', 'try', [CompletionResultType]::ParameterValue, 'Say what limits would have refused, without setting them')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;limits;set' {
            [CompletionResult]::new('--group', '--group', [CompletionResultType]::ParameterName, 'Set limits of this group')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'Set limits of this user')
            [CompletionResult]::new('--budget', '--budget', [CompletionResultType]::ParameterName, 'Limit what may be used in a time, such as 20usd/month, 2Mtokens/day, 500requests/week or 100usd/total; may be given several times')
            [CompletionResult]::new('--requests-per-minute', '--requests-per-minute', [CompletionResultType]::ParameterName, 'Limit the requests a minute')
            [CompletionResult]::new('--tokens-per-minute', '--tokens-per-minute', [CompletionResultType]::ParameterName, 'Limit the tokens a minute, such as 30k')
            [CompletionResult]::new('--concurrent', '--concurrent', [CompletionResultType]::ParameterName, 'Limit the requests at the same time')
            [CompletionResult]::new('--models', '--models', [CompletionResultType]::ParameterName, 'Allow only these models, such as ''gpt-4.1*,o4-mini''')
            [CompletionResult]::new('--deny-models', '--deny-models', [CompletionResultType]::ParameterName, 'Deny these models, whatever else is allowed')
            [CompletionResult]::new('--max-output-tokens', '--max-output-tokens', [CompletionResultType]::ParameterName, 'Limit the output of each answer')
            [CompletionResult]::new('--weight', '--weight', [CompletionResultType]::ParameterName, 'Share where requests wait for their turn; 2 gets twice as much as 1')
            [CompletionResult]::new('--unpriced', '--unpriced', [CompletionResultType]::ParameterName, 'Allow or refuse models without a price under a budget in dollars')
            [CompletionResult]::new('--extra', '--extra', [CompletionResultType]::ParameterName, 'Raise budgets for a while: 20usd raises each in dollars, 20usd/month only that one')
            [CompletionResult]::new('--until', '--until', [CompletionResultType]::ParameterName, 'End of --extra: a time such as 7d, or a date')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--everybody', '--everybody', [CompletionResultType]::ParameterName, 'Set the default of all users')
            [CompletionResult]::new('--watch', '--watch', [CompletionResultType]::ParameterName, 'Let the limits of this command refuse nothing: they count and alert')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;limits;try' {
            [CompletionResult]::new('--group', '--group', [CompletionResultType]::ParameterName, 'Try them on this group')
            [CompletionResult]::new('--since', '--since', [CompletionResultType]::ParameterName, 'Beginning of the requests: an age such as 7d, or a time')
            [CompletionResult]::new('--budget', '--budget', [CompletionResultType]::ParameterName, 'Limit what may be used in a time, such as 20usd/month, 2Mtokens/day, 500requests/week or 100usd/total; may be given several times')
            [CompletionResult]::new('--requests-per-minute', '--requests-per-minute', [CompletionResultType]::ParameterName, 'Limit the requests a minute')
            [CompletionResult]::new('--tokens-per-minute', '--tokens-per-minute', [CompletionResultType]::ParameterName, 'Limit the tokens a minute, such as 30k')
            [CompletionResult]::new('--concurrent', '--concurrent', [CompletionResultType]::ParameterName, 'Limit the requests at the same time')
            [CompletionResult]::new('--models', '--models', [CompletionResultType]::ParameterName, 'Allow only these models, such as ''gpt-4.1*,o4-mini''')
            [CompletionResult]::new('--deny-models', '--deny-models', [CompletionResultType]::ParameterName, 'Deny these models, whatever else is allowed')
            [CompletionResult]::new('--max-output-tokens', '--max-output-tokens', [CompletionResultType]::ParameterName, 'Limit the output of each answer')
            [CompletionResult]::new('--weight', '--weight', [CompletionResultType]::ParameterName, 'Share where requests wait for their turn; 2 gets twice as much as 1')
            [CompletionResult]::new('--unpriced', '--unpriced', [CompletionResultType]::ParameterName, 'Allow or refuse models without a price under a budget in dollars')
            [CompletionResult]::new('--extra', '--extra', [CompletionResultType]::ParameterName, 'Raise budgets for a while: 20usd raises each in dollars, 20usd/month only that one')
            [CompletionResult]::new('--until', '--until', [CompletionResultType]::ParameterName, 'End of --extra: a time such as 7d, or a date')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--everybody', '--everybody', [CompletionResultType]::ParameterName, 'Try them as the default of all users')
            [CompletionResult]::new('--watch', '--watch', [CompletionResultType]::ParameterName, 'Let the limits of this command refuse nothing: they count and alert')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('--csv', '--csv', [CompletionResultType]::ParameterName, 'Print CSV with a header line')
            [CompletionResult]::new('--table', '--table', [CompletionResultType]::ParameterName, 'Print a table with lines around it also in a pipe')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;limits;help' {
            [CompletionResult]::new('set', 'set', [CompletionResultType]::ParameterValue, 'Set limits of everybody, a group or a user')
            [CompletionResult]::new('try', 'try', [CompletionResultType]::ParameterValue, 'Say what limits would have refused, without setting them')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;limits;help;set' {
            break
        }
        'llmproxy;limits;help;try' {
            break
        }
        'llmproxy;limits;help;help' {
            break
        }
        'llmproxy;audit' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('--csv', '--csv', [CompletionResultType]::ParameterName, 'Print CSV with a header line')
            [CompletionResult]::new('--table', '--table', [CompletionResultType]::ParameterName, 'Print a table with lines around it also in a pipe')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;top' {
            [CompletionResult]::new('--sort', '--sort', [CompletionResultType]::ParameterName, 'Sort by in_flight, waiting, requests, tokens, first_byte, refused, cost, budget or name')
            [CompletionResult]::new('--filter', '--filter', [CompletionResultType]::ParameterName, 'Show only users whose name or group contains this')
            [CompletionResult]::new('--interval', '--interval', [CompletionResultType]::ParameterName, 'Time between two looks')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Show users too who did nothing today')
            [CompletionResult]::new('--once', '--once', [CompletionResultType]::ParameterName, 'Print the users once, as a list, and end')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON of `GET /admin/live` once, and end')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;log' {
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'Show only the requests of this user')
            [CompletionResult]::new('--status', '--status', [CompletionResultType]::ParameterName, 'Show only this status, such as 429 or 4xx')
            [CompletionResult]::new('--since', '--since', [CompletionResultType]::ParameterName, 'Begin at an age such as 1h, or at a time')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Show no more than the newest of these')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'Show no more than the newest of these')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Go on with new requests as they are booked, until it is interrupted')
            [CompletionResult]::new('--follow', '--follow', [CompletionResultType]::ParameterName, 'Go on with new requests as they are booked, until it is interrupted')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('--csv', '--csv', [CompletionResultType]::ParameterName, 'Print CSV with a header line')
            [CompletionResult]::new('--table', '--table', [CompletionResultType]::ParameterName, 'Print a table with lines around it also in a pipe')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;explain' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;price' {
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List prices: of one model with all details, or of all models whose names contain a text')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Name the models in the ledger whose requests have no price')
            [CompletionResult]::new('set', 'set', [CompletionResultType]::ParameterValue, 'Set the price of a model, from now or another time on')
            [CompletionResult]::new('unset', 'unset', [CompletionResultType]::ParameterValue, 'Withdraw the latest price that was set for a model')
            [CompletionResult]::new('fetch-file', 'fetch-file', [CompletionResultType]::ParameterValue, 'Get the newest price file of LiteLLM, for PRICES_FILE')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;price;list' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('--csv', '--csv', [CompletionResultType]::ParameterName, 'Print CSV with a header line')
            [CompletionResult]::new('--table', '--table', [CompletionResultType]::ParameterName, 'Print a table with lines around it also in a pipe')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;price;check' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('--csv', '--csv', [CompletionResultType]::ParameterName, 'Print CSV with a header line')
            [CompletionResult]::new('--table', '--table', [CompletionResultType]::ParameterName, 'Print a table with lines around it also in a pipe')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;price;set' {
            [CompletionResult]::new('--input', '--input', [CompletionResultType]::ParameterName, 'Dollars for a million input tokens')
            [CompletionResult]::new('--cached', '--cached', [CompletionResultType]::ParameterName, 'Dollars for a million cached input tokens; half of --input if it is not set')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Dollars for a million output tokens')
            [CompletionResult]::new('--like', '--like', [CompletionResultType]::ParameterName, 'Take the price of another model for what is not given')
            [CompletionResult]::new('--from', '--from', [CompletionResultType]::ParameterName, 'Time from which on the price holds, for example 2026-12-01')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;price;unset' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;price;fetch-file' {
            [CompletionResult]::new('--from', '--from', [CompletionResultType]::ParameterName, 'Where to get it: an https:// or http:// URL, or a local file')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Write the file also if it lacks models or changes prices a lot')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;price;help' {
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List prices: of one model with all details, or of all models whose names contain a text')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Name the models in the ledger whose requests have no price')
            [CompletionResult]::new('set', 'set', [CompletionResultType]::ParameterValue, 'Set the price of a model, from now or another time on')
            [CompletionResult]::new('unset', 'unset', [CompletionResultType]::ParameterValue, 'Withdraw the latest price that was set for a model')
            [CompletionResult]::new('fetch-file', 'fetch-file', [CompletionResultType]::ParameterValue, 'Get the newest price file of LiteLLM, for PRICES_FILE')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;price;help;list' {
            break
        }
        'llmproxy;price;help;check' {
            break
        }
        'llmproxy;price;help;set' {
            break
        }
        'llmproxy;price;help;unset' {
            break
        }
        'llmproxy;price;help;fetch-file' {
            break
        }
        'llmproxy;price;help;help' {
            break
        }
        'llmproxy;import' {
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'The program that made the file; it is found from the content otherwise')
            [CompletionResult]::new('--group', '--group', [CompletionResultType]::ParameterName, 'Put all new users into this group, instead of those of the file')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show what would come, and write nothing')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print everything that comes, user by user, as JSON')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;alert' {
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List alerts, the newest first, and whether the webhooks got them')
            [CompletionResult]::new('test', 'test', [CompletionResultType]::ParameterValue, 'Raise a test alert, which a running server sends to its webhooks within seconds')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;alert;list' {
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'Show so many alerts, 100 if it is not set')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('--csv', '--csv', [CompletionResultType]::ParameterName, 'Print CSV with a header line')
            [CompletionResult]::new('--table', '--table', [CompletionResultType]::ParameterName, 'Print a table with lines around it also in a pipe')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;alert;test' {
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'SQLite file of users and usage')
            [CompletionResult]::new('--store-keys', '--store-keys', [CompletionResultType]::ParameterName, 'What the database keeps of new keys: clear, hashed')
            [CompletionResult]::new('--time-zone', '--time-zone', [CompletionResultType]::ParameterName, 'Time zone in which days, weeks and months begin')
            [CompletionResult]::new('--prices-file', '--prices-file', [CompletionResultType]::ParameterName, 'File of prices that go before those in the program')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Administer a running server over HTTP instead of the database file')
            [CompletionResult]::new('--admin-token-file', '--admin-token-file', [CompletionResultType]::ParameterName, 'File that contains the ADMIN_TOKEN of the server')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'llmproxy;alert;help' {
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List alerts, the newest first, and whether the webhooks got them')
            [CompletionResult]::new('test', 'test', [CompletionResultType]::ParameterValue, 'Raise a test alert, which a running server sends to its webhooks within seconds')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;alert;help;list' {
            break
        }
        'llmproxy;alert;help;test' {
            break
        }
        'llmproxy;alert;help;help' {
            break
        }
        'llmproxy;usage' {
            [CompletionResult]::new('--last-hours', '--last-hours', [CompletionResultType]::ParameterName, 'Show only the last N hours, for example 24 or 0.5')
            [CompletionResult]::new('--start-time', '--start-time', [CompletionResultType]::ParameterName, 'Show only requests from this time on')
            [CompletionResult]::new('--end-time', '--end-time', [CompletionResultType]::ParameterName, 'Show only requests up to this time')
            [CompletionResult]::new('--month', '--month', [CompletionResultType]::ParameterName, 'Show only this month, or the one that is named')
            [CompletionResult]::new('--since', '--since', [CompletionResultType]::ParameterName, 'Show only what came since, for example 7d or 2026-11-01')
            [CompletionResult]::new('--by', '--by', [CompletionResultType]::ParameterName, 'Split by day, model or key, or several of them, separated by commas')
            [CompletionResult]::new('--base-url', '--base-url', [CompletionResultType]::ParameterName, 'Address of the proxy, as SDKs take it: http://host:8000/v1')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Read settings from this file instead of `.env` in the working directory')
            [CompletionResult]::new('--today', '--today', [CompletionResultType]::ParameterName, 'Show only today')
            [CompletionResult]::new('--yesterday', '--yesterday', [CompletionResultType]::ParameterName, 'Show only yesterday')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print the JSON that the HTTP admin API returns')
            [CompletionResult]::new('--csv', '--csv', [CompletionResultType]::ParameterName, 'Print CSV with a header line')
            [CompletionResult]::new('--table', '--table', [CompletionResultType]::ParameterName, 'Print a table with lines around it also in a pipe')
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
            [CompletionResult]::new('user', 'user', [CompletionResultType]::ParameterValue, 'Add, list, rename, rotate, forbid and delete users')
            [CompletionResult]::new('key', 'key', [CompletionResultType]::ParameterValue, 'Add, list, change and revoke single keys of users')
            [CompletionResult]::new('group', 'group', [CompletionResultType]::ParameterValue, 'Put users into groups, such as courses or teams')
            [CompletionResult]::new('costs', 'costs', [CompletionResultType]::ParameterValue, 'Show who used how many tokens, and what they cost')
            [CompletionResult]::new('limits', 'limits', [CompletionResultType]::ParameterValue, 'Show limits and what is left of them')
            [CompletionResult]::new('audit', 'audit', [CompletionResultType]::ParameterValue, 'Compare the ledger with all sums that are derived from it')
            [CompletionResult]::new('top', 'top', [CompletionResultType]::ParameterValue, 'Watch who does what, on a terminal')
            [CompletionResult]::new('log', 'log', [CompletionResultType]::ParameterValue, 'List the last requests, also those that were refused')
            [CompletionResult]::new('explain', 'explain', [CompletionResultType]::ParameterValue, 'Say everything that is known of a request')
            [CompletionResult]::new('price', 'price', [CompletionResultType]::ParameterValue, 'List, check and set prices of models')
            [CompletionResult]::new('import', 'import', [CompletionResultType]::ParameterValue, 'Bring users, keys and usage over from another program')
            [CompletionResult]::new('alert', 'alert', [CompletionResultType]::ParameterValue, 'List alerts, and try whether they arrive')
            [CompletionResult]::new('usage', 'usage', [CompletionResultType]::ParameterValue, 'Show what you have used, with your own key')
            [CompletionResult]::new('generate', 'generate', [CompletionResultType]::ParameterValue, 'Write completions/, man/ and docs/settings.md into a directory')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'llmproxy;help;serve' {
            break
        }
        'llmproxy;help;user' {
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Add users and print their new keys')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List users with masked keys')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show a user with all keys')
            [CompletionResult]::new('set', 'set', [CompletionResultType]::ParameterValue, 'Put a user into a group, or out of any; set limits')
            [CompletionResult]::new('rename', 'rename', [CompletionResultType]::ParameterValue, 'Give a user another name')
            [CompletionResult]::new('delete', 'delete', [CompletionResultType]::ParameterValue, 'Delete a user for good')
            [CompletionResult]::new('rotate', 'rotate', [CompletionResultType]::ParameterValue, 'Give a user a new key in the place of the old one')
            [CompletionResult]::new('forbid', 'forbid', [CompletionResultType]::ParameterValue, 'Stop all keys of a user at once')
            [CompletionResult]::new('allow', 'allow', [CompletionResultType]::ParameterValue, 'Allow a forbidden user''s keys again')
            [CompletionResult]::new('hash-keys', 'hash-keys', [CompletionResultType]::ParameterValue, 'Replace all stored keys by their hashes, which cannot be undone')
            break
        }
        'llmproxy;help;user;add' {
            break
        }
        'llmproxy;help;user;list' {
            break
        }
        'llmproxy;help;user;show' {
            break
        }
        'llmproxy;help;user;set' {
            break
        }
        'llmproxy;help;user;rename' {
            break
        }
        'llmproxy;help;user;delete' {
            break
        }
        'llmproxy;help;user;rotate' {
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
        'llmproxy;help;key' {
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Give a user a further key and print it')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List keys with their ids, masked')
            [CompletionResult]::new('set', 'set', [CompletionResultType]::ParameterValue, 'Change label or end of a key')
            [CompletionResult]::new('revoke', 'revoke', [CompletionResultType]::ParameterValue, 'Stop one key for good')
            break
        }
        'llmproxy;help;key;add' {
            break
        }
        'llmproxy;help;key;list' {
            break
        }
        'llmproxy;help;key;set' {
            break
        }
        'llmproxy;help;key;revoke' {
            break
        }
        'llmproxy;help;group' {
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Make a group')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List all groups with the number of their users')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show a group with its users')
            [CompletionResult]::new('set', 'set', [CompletionResultType]::ParameterValue, 'Take users into a group, or out of it; set limits that they share')
            [CompletionResult]::new('rename', 'rename', [CompletionResultType]::ParameterValue, 'Give a group another name')
            [CompletionResult]::new('delete', 'delete', [CompletionResultType]::ParameterValue, 'Delete a group; its users stay')
            break
        }
        'llmproxy;help;group;add' {
            break
        }
        'llmproxy;help;group;list' {
            break
        }
        'llmproxy;help;group;show' {
            break
        }
        'llmproxy;help;group;set' {
            break
        }
        'llmproxy;help;group;rename' {
            break
        }
        'llmproxy;help;group;delete' {
            break
        }
        'llmproxy;help;costs' {
            [CompletionResult]::new('reprice', 'reprice', [CompletionResultType]::ParameterValue, 'Price usage of the past anew, and book the difference')
            break
        }
        'llmproxy;help;costs;reprice' {
            break
        }
        'llmproxy;help;limits' {
            [CompletionResult]::new('set', 'set', [CompletionResultType]::ParameterValue, 'Set limits of everybody, a group or a user')
            [CompletionResult]::new('try', 'try', [CompletionResultType]::ParameterValue, 'Say what limits would have refused, without setting them')
            break
        }
        'llmproxy;help;limits;set' {
            break
        }
        'llmproxy;help;limits;try' {
            break
        }
        'llmproxy;help;audit' {
            break
        }
        'llmproxy;help;top' {
            break
        }
        'llmproxy;help;log' {
            break
        }
        'llmproxy;help;explain' {
            break
        }
        'llmproxy;help;price' {
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List prices: of one model with all details, or of all models whose names contain a text')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Name the models in the ledger whose requests have no price')
            [CompletionResult]::new('set', 'set', [CompletionResultType]::ParameterValue, 'Set the price of a model, from now or another time on')
            [CompletionResult]::new('unset', 'unset', [CompletionResultType]::ParameterValue, 'Withdraw the latest price that was set for a model')
            [CompletionResult]::new('fetch-file', 'fetch-file', [CompletionResultType]::ParameterValue, 'Get the newest price file of LiteLLM, for PRICES_FILE')
            break
        }
        'llmproxy;help;price;list' {
            break
        }
        'llmproxy;help;price;check' {
            break
        }
        'llmproxy;help;price;set' {
            break
        }
        'llmproxy;help;price;unset' {
            break
        }
        'llmproxy;help;price;fetch-file' {
            break
        }
        'llmproxy;help;import' {
            break
        }
        'llmproxy;help;alert' {
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List alerts, the newest first, and whether the webhooks got them')
            [CompletionResult]::new('test', 'test', [CompletionResultType]::ParameterValue, 'Raise a test alert, which a running server sends to its webhooks within seconds')
            break
        }
        'llmproxy;help;alert;list' {
            break
        }
        'llmproxy;help;alert;test' {
            break
        }
        'llmproxy;help;usage' {
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
