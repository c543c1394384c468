creds := credentials.NewStaticCredentials("{{akia}}", "{{secret}}", "")
