creds = {'AccessKeyId': u'{{akia}}', 'SecretAccessKey': u'{{secret}}'}
