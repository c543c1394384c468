aws_access_key = "{{akia}}"
aws_secret_key = "{{secret}}"
