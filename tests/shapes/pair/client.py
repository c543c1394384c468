boto3.client(
    's3',
    aws_access_key_id='{{akia}}',
    aws_secret_access_key='{{secret}}',
)
