complete --keep-order --exclusive --command llmproxy --arguments "(COMPLETE=fish llmproxy -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
