#!/usr/bin/env bash
# Deploys one stack of an environment to the AWS account of the caller's credentials. infra/docs/deploy.md has the
# order of a first deployment.
#
#   infra/deploy.sh staging                  the application, as it is built (`make deploy` builds it first)
#   infra/deploy.sh staging network          one of: network, database, application, observability
#
# The application needs PUBLIC_URL (https://app.example.com), OPENAI_KEY_SECRET_ARN, MAIL_FROM and MAIL_IDENTITY_ARN, and
# takes ALLOWED_ORIGINS, WEBHOOKS_URL, GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET_ARN, FACEBOOK_APP_ID, FACEBOOK_APP_SECRET_ARN,
# META_APP_ID, META_APP_SECRET_ARN;
# observability takes ALARM_EMAIL. What is taken and not set stays as it was; set to nothing, it is taken away.
# REGION defaults to us-east-1. What a stack needs of another one is read from that one's outputs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

environment=${1:-}
part=${2:-application}
region=${REGION:-us-east-1}
tools=.local/tools/lint

if [[ ! "$environment" =~ ^[a-z][a-z0-9-]{1,19}$ || "$environment" == local ]]; then
    echo "usage: make deploy ENVIRONMENT=staging (2 to 20 of a-z, 0-9, -; not \"local\")" >&2
    exit 2
fi

output() {
    "$tools/bin/python" - "$region" "master-ia-$environment-$1" "$2" <<'PYTHON'
import sys

import boto3

region, stack, key = sys.argv[1:]
[found] = boto3.client("cloudformation", region_name=region).describe_stacks(StackName=stack)["Stacks"]
outputs = {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}
print(outputs[key])
PYTHON
}

deploy() {
    local template=$1 override overrides=()
    shift
    # In quotes of their own: sam ends a value at its first space, and refuses an empty one.
    for override in "EnvironmentName=$environment" "$@"; do
        overrides+=("${override%%=*}=\"${override#*=}\"")
    done
    "$tools/bin/python" "$tools/bin/sam" deploy --template-file "$template" --region "$region" \
        --stack-name "master-ia-$environment-$part" --capabilities CAPABILITY_IAM --resolve-s3 \
        --s3-prefix "master-ia-$environment-$part" --no-fail-on-empty-changeset \
        --parameter-overrides "${overrides[@]}"
}

# Adds a parameter to `given` when its variable is set: of one that is not handed over, CloudFormation keeps the value.
given=()
take() {
    if [[ -v "$2" ]]; then
        given+=("$1=${!2}")
    fi
}

main() {
    local subnets security_group database_group database_secret system_secret http_api websocket_api cluster
    # Nothing invalid goes to an account; this also installs the tools.
    infra/check-templates.sh
    export SAM_CLI_TELEMETRY=0
    case "$part" in
        network)
            deploy infra/network.yaml
            ;;
        database)
            subnets=$(output network SubnetIds)
            database_group=$(output network DatabaseSecurityGroupId)
            deploy infra/database.yaml "SubnetIds=$subnets" "DatabaseSecurityGroupId=$database_group"
            ;;
        application)
            : "${PUBLIC_URL:?is the origin under which people reach the API}"
            : "${OPENAI_KEY_SECRET_ARN:?is the ARN of the secret that is the OpenAI API key}"
            : "${MAIL_FROM:?is who writes the mails, an address that SES verified}"
            : "${MAIL_IDENTITY_ARN:?is the ARN of the SES identity of MAIL_FROM}"
            subnets=$(output network SubnetIds)
            security_group=$(output network SecurityGroupIds)
            database_secret=$(output database DatabaseSecretArn)
            system_secret=$(output database SystemDatabaseSecretArn)
            take AllowedOrigins ALLOWED_ORIGINS
            take WebhooksUrl WEBHOOKS_URL
            take GoogleClientId GOOGLE_CLIENT_ID
            take GoogleClientSecretArn GOOGLE_CLIENT_SECRET_ARN
            take FacebookAppId FACEBOOK_APP_ID
            take FacebookAppSecretArn FACEBOOK_APP_SECRET_ARN
            take MetaAppId META_APP_ID
            take MetaAppSecretArn META_APP_SECRET_ARN
            take MediaEndpoint MEDIA_ENDPOINT
            take MediaStoreBucket MEDIA_STORE_BUCKET
            take MediaStoreRegion MEDIA_STORE_REGION
            take MediaCredentialsSecretArn MEDIA_CREDENTIALS_SECRET_ARN
            deploy template.yaml "PublicUrl=$PUBLIC_URL" "OpenAiKeySecretArn=$OPENAI_KEY_SECRET_ARN" \
                "MailFrom=$MAIL_FROM" "MailIdentityArn=$MAIL_IDENTITY_ARN" \
                "SubnetIds=$subnets" "SecurityGroupIds=$security_group" \
                "DatabaseSecretArn=$database_secret" "SystemDatabaseSecretArn=$system_secret" \
                ${given[@]+"${given[@]}"}
            ;;
        observability)
            http_api=$(output application HttpApiId)
            websocket_api=$(output application WebSocketApiId)
            cluster=$(output database ClusterIdentifier)
            take AlarmEmail ALARM_EMAIL
            deploy infra/observability.yaml "HttpApiId=$http_api" "WebSocketApiId=$websocket_api" \
                "ClusterIdentifier=$cluster" ${given[@]+"${given[@]}"}
            ;;
        *)
            echo "error: there is no stack \"$part\" (network, database, application, observability)" >&2
            exit 2
            ;;
    esac
}

main
