# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_oura_exporter_global_optspecs
    string join \n web-listen-address= web-config-file= web-external-url= log-level= log-format= h/help V/version
end

function __fish_oura_exporter_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_oura_exporter_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_oura_exporter_using_subcommand
    set -l cmd (__fish_oura_exporter_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c oura-exporter -n "__fish_oura_exporter_needs_command" -l web.listen-address -d 'Where the page is served; 0.0.0.0:10058 means all interfaces; wins over OURA_LISTEN_ADDRESS' -r
complete -c oura-exporter -n "__fish_oura_exporter_needs_command" -l web.config.file -d 'TLS and basic auth of the page: a file in the format of Prometheus\' exporter-toolkit; wins over OURA_WEB_CONFIG_FILE' -r
complete -c oura-exporter -n "__fish_oura_exporter_needs_command" -l web.external-url -d 'Where a proxy shows the page, such as https://lan.example/oura/; requests with and without its path are answered, and its host name is allowed; wins over OURA_WEB_EXTERNAL_URL' -r
complete -c oura-exporter -n "__fish_oura_exporter_needs_command" -l log.level -d 'Error, warn, info, debug or trace; wins over OURA_LOG' -r
complete -c oura-exporter -n "__fish_oura_exporter_needs_command" -l log.format -d 'Text, or json for machines; wins over OURA_LOG_FORMAT' -r
complete -c oura-exporter -n "__fish_oura_exporter_needs_command" -s h -l help -d 'Print help'
complete -c oura-exporter -n "__fish_oura_exporter_needs_command" -s V -l version -d 'Print version'
complete -c oura-exporter -n "__fish_oura_exporter_needs_command" -f -a "serve" -d 'Poll Oura and serve the metrics; the default'
complete -c oura-exporter -n "__fish_oura_exporter_needs_command" -f -a "demo" -d 'Serve made-up data of two people, without an account or a network'
complete -c oura-exporter -n "__fish_oura_exporter_needs_command" -f -a "healthcheck" -d 'Exit with 0 when the exporter on this machine is ready'
complete -c oura-exporter -n "__fish_oura_exporter_needs_command" -f -a "login" -d 'Sign a person in at Oura'
complete -c oura-exporter -n "__fish_oura_exporter_needs_command" -f -a "logout" -d 'Revoke an account\'s access at Oura and delete its tokens'
complete -c oura-exporter -n "__fish_oura_exporter_needs_command" -f -a "accounts" -d 'Show who is signed in, and rename accounts'
complete -c oura-exporter -n "__fish_oura_exporter_needs_command" -f -a "backfill" -d 'Import any period of the past: as files for promtool, or by remote write'
complete -c oura-exporter -n "__fish_oura_exporter_needs_command" -f -a "webhooks" -d 'Show or remove the application\'s webhook subscriptions at Oura'
complete -c oura-exporter -n "__fish_oura_exporter_needs_command" -f -a "check" -d 'Test configuration, tokens and every collection: 0 only if all is well'
complete -c oura-exporter -n "__fish_oura_exporter_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand serve" -l web.listen-address -d 'Where the page is served; 0.0.0.0:10058 means all interfaces; wins over OURA_LISTEN_ADDRESS' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand serve" -l web.config.file -d 'TLS and basic auth of the page: a file in the format of Prometheus\' exporter-toolkit; wins over OURA_WEB_CONFIG_FILE' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand serve" -l web.external-url -d 'Where a proxy shows the page, such as https://lan.example/oura/; requests with and without its path are answered, and its host name is allowed; wins over OURA_WEB_EXTERNAL_URL' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand serve" -l log.level -d 'Error, warn, info, debug or trace; wins over OURA_LOG' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand serve" -l log.format -d 'Text, or json for machines; wins over OURA_LOG_FORMAT' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand serve" -s h -l help -d 'Print help'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand demo" -l web.listen-address -d 'Where the page is served; 0.0.0.0:10058 means all interfaces; wins over OURA_LISTEN_ADDRESS' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand demo" -l web.config.file -d 'TLS and basic auth of the page: a file in the format of Prometheus\' exporter-toolkit; wins over OURA_WEB_CONFIG_FILE' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand demo" -l web.external-url -d 'Where a proxy shows the page, such as https://lan.example/oura/; requests with and without its path are answered, and its host name is allowed; wins over OURA_WEB_EXTERNAL_URL' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand demo" -l log.level -d 'Error, warn, info, debug or trace; wins over OURA_LOG' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand demo" -l log.format -d 'Text, or json for machines; wins over OURA_LOG_FORMAT' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand demo" -l sign-in -d 'Start without accounts: the two people sign in on the exporter\'s page and consent on the simulator\'s'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand demo" -s h -l help -d 'Print help'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand healthcheck" -l web.listen-address -d 'Where the page is served; 0.0.0.0:10058 means all interfaces; wins over OURA_LISTEN_ADDRESS' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand healthcheck" -l web.config.file -d 'TLS and basic auth of the page: a file in the format of Prometheus\' exporter-toolkit; wins over OURA_WEB_CONFIG_FILE' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand healthcheck" -l alive -d 'Exit with 0 as soon as it serves; use this for anything that restarts it, because it is not ready until somebody has signed in'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand healthcheck" -s h -l help -d 'Print help'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand login" -l account -d 'The name of the account; if it is not given, the command asks for it. Each person needs a name of their own' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand login" -l no-browser -d 'Print the sign-in URL, and read the address that the browser ended at from standard input'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand login" -l replace-person -d 'Allow the account to change to another person, or one person to have two accounts'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand login" -s h -l help -d 'Print help'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand logout" -l account -d 'The name of the account' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand logout" -s h -l help -d 'Print help'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand accounts; and not __fish_seen_subcommand_from rename help" -s h -l help -d 'Print help'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand accounts; and not __fish_seen_subcommand_from rename help" -f -a "rename" -d 'Rename an account, while the exporter is stopped; its tokens and journal move along'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand accounts; and not __fish_seen_subcommand_from rename help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand accounts; and __fish_seen_subcommand_from rename" -s h -l help -d 'Print help'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand accounts; and __fish_seen_subcommand_from help" -f -a "rename" -d 'Rename an account, while the exporter is stopped; its tokens and journal move along'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand accounts; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand backfill" -l from -d 'The first day, such as 2021-01-31' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand backfill" -l to -d 'The last day; without it, up to now, or for files up to six hours ago' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand backfill" -l output -d 'Write OpenMetrics files for promtool, one per month, into this directory; - means standard output' -r -F
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand backfill" -l remote-write -d 'Send to this remote-write address instead, such as http://localhost:8428/api/v1/write' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand backfill" -l account -d 'This account only' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand backfill" -l group -d 'The group that may read the files, such as prometheus' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand backfill" -l job -d 'The label job of your scrapes; wins over OURA_JOB' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand backfill" -l instance -d 'The label instance of your scrapes; wins over OURA_INSTANCE' -r
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand backfill" -l restart -d 'Begin at the first day, even if an earlier run was interrupted'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand backfill" -s h -l help -d 'Print help'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand webhooks; and not __fish_seen_subcommand_from list remove help" -s h -l help -d 'Print help'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand webhooks; and not __fish_seen_subcommand_from list remove help" -f -a "list" -d 'List every subscription, and say which ones are this exporter\'s; the default'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand webhooks; and not __fish_seen_subcommand_from list remove help" -f -a "remove" -d 'Remove this exporter\'s subscriptions; others are left alone'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand webhooks; and not __fish_seen_subcommand_from list remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand webhooks; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand webhooks; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand webhooks; and __fish_seen_subcommand_from help" -f -a "list" -d 'List every subscription, and say which ones are this exporter\'s; the default'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand webhooks; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove this exporter\'s subscriptions; others are left alone'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand webhooks; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand check" -s h -l help -d 'Print help'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand help; and not __fish_seen_subcommand_from serve demo healthcheck login logout accounts backfill webhooks check help" -f -a "serve" -d 'Poll Oura and serve the metrics; the default'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand help; and not __fish_seen_subcommand_from serve demo healthcheck login logout accounts backfill webhooks check help" -f -a "demo" -d 'Serve made-up data of two people, without an account or a network'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand help; and not __fish_seen_subcommand_from serve demo healthcheck login logout accounts backfill webhooks check help" -f -a "healthcheck" -d 'Exit with 0 when the exporter on this machine is ready'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand help; and not __fish_seen_subcommand_from serve demo healthcheck login logout accounts backfill webhooks check help" -f -a "login" -d 'Sign a person in at Oura'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand help; and not __fish_seen_subcommand_from serve demo healthcheck login logout accounts backfill webhooks check help" -f -a "logout" -d 'Revoke an account\'s access at Oura and delete its tokens'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand help; and not __fish_seen_subcommand_from serve demo healthcheck login logout accounts backfill webhooks check help" -f -a "accounts" -d 'Show who is signed in, and rename accounts'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand help; and not __fish_seen_subcommand_from serve demo healthcheck login logout accounts backfill webhooks check help" -f -a "backfill" -d 'Import any period of the past: as files for promtool, or by remote write'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand help; and not __fish_seen_subcommand_from serve demo healthcheck login logout accounts backfill webhooks check help" -f -a "webhooks" -d 'Show or remove the application\'s webhook subscriptions at Oura'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand help; and not __fish_seen_subcommand_from serve demo healthcheck login logout accounts backfill webhooks check help" -f -a "check" -d 'Test configuration, tokens and every collection: 0 only if all is well'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand help; and not __fish_seen_subcommand_from serve demo healthcheck login logout accounts backfill webhooks check help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand help; and __fish_seen_subcommand_from accounts" -f -a "rename" -d 'Rename an account, while the exporter is stopped; its tokens and journal move along'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand help; and __fish_seen_subcommand_from webhooks" -f -a "list" -d 'List every subscription, and say which ones are this exporter\'s; the default'
complete -c oura-exporter -n "__fish_oura_exporter_using_subcommand help; and __fish_seen_subcommand_from webhooks" -f -a "remove" -d 'Remove this exporter\'s subscriptions; others are left alone'
